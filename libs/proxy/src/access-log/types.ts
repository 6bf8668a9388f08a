import type { StreamInfo } from '@meltemi/http';

/** One line (or JSON object) per stream, with its line end. @hot */
export interface LineFormat {
  format(info: StreamInfo): string;
}

/** Where lines go. The edge implements it over files and standard streams: buffers up to a limit, reopens on rotation, never blocks the caller. */
export interface LineSink {
  write(line: string): void;
}

/** Finds or opens the sink of a path ("/dev/stdout" and "/dev/stderr" too). Sinks are shared by path. */
export interface LineSinks {
  open(path: string): LineSink;
}

/** What the file, stdout and stderr access loggers' configs compile to. */
export interface FileAccessLogConfig {
  readonly path: string;
  readonly format: LineFormat;
}

import type { Formatter, StreamInfo, TextSink } from '@meltemi/http';

/** One line (or JSON object) per stream, with its line end. @hot */
export interface LineFormat {
  format(info: StreamInfo): string;
  writeTo(info: StreamInfo, out: TextSink): void;
}

/** A format without a line end of its own, as lines. */
export function lines(formatter: Formatter): LineFormat {
  return {
    format: (info) => `${formatter.format(info)}\n`,
    writeTo: (info, out) => {
      formatter.writeTo(info, out);
      out.text('\n');
    },
  };
}

/** Where lines go. The edge implements it over files and standard streams: buffers up to a limit, reopens on rotation, never blocks the caller. */
export interface LineSink {
  /** Takes the pieces of one line, which `end` ends; null: there is no room, the line is dropped and counted. */
  begin(): TextSink | null;
  end(): void;
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

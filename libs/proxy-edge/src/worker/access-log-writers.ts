import type { StreamInfo } from '@meltemi/http';
import { httpAccessLogEntry, isGrpcAccessLog, sinkKey, tcpAccessLogEntry, type FileAccessLogConfig, type GrpcAccessLogConfig } from '@meltemi/proxy';
import type { AccessLog } from '@meltemi/snapshot';
import type { FileSinks } from './file-sinks.ts';

export interface WriterParts {
  readonly files: FileSinks;
  /** Takes a batch of encoded entries for a sink. */
  readonly post: (sink: string, entries: readonly Uint8Array[]) => void;
}

/** Entries of one sink before they are handed over, however short the time. */
const maxBatch = 100;

/** Opens access logs: files and standard streams here, gRPC ones batched for the control thread. */
export class AccessLogWriters {
  readonly #parts: WriterParts;
  readonly #batches = new Map<string, Batch>();

  constructor(parts: WriterParts) {
    this.#parts = parts;
  }

  open(log: AccessLog): ((info: StreamInfo) => void) | null {
    if (isGrpcAccessLog(log.typeUrl)) return this.#openGrpc(log.config as GrpcAccessLogConfig);
    const { path, format } = log.config as FileAccessLogConfig;
    const sink = this.#parts.files.open(path);
    return (info) => {
      const line = sink.begin();
      if (line === null) return;
      format.writeTo(info, line);
      sink.end();
    };
  }

  /** Hands over what is waiting. */
  flush(): void {
    for (const batch of this.#batches.values()) batch.flush();
    this.#parts.files.flush();
  }

  /** Hands over what is waiting, and resolves when files have it. */
  async written(): Promise<void> {
    this.flush();
    await this.#parts.files.written();
  }

  #openGrpc(config: GrpcAccessLogConfig): (info: StreamInfo) => void {
    const key = sinkKey(config);
    const batch = this.#batches.get(key) ?? new Batch(config, (entries) => this.#parts.post(key, entries));
    this.#batches.set(key, batch);
    return config.kind === 'http' ? (info) => batch.add(httpAccessLogEntry(info, config, environment)) : (info) => batch.add(tcpAccessLogEntry(info, config, environment));
  }
}

const environment = (name: string): string | undefined => process.env[name];

class Batch {
  #entries: Uint8Array[] = [];
  #timer: NodeJS.Timeout | undefined;
  readonly #flushMs: number;
  readonly #bufferBytes: number;
  #bytes = 0;
  readonly #post: (entries: readonly Uint8Array[]) => void;

  constructor({ flushMs, bufferBytes }: Pick<GrpcAccessLogConfig, 'flushMs' | 'bufferBytes'>, post: (entries: readonly Uint8Array[]) => void) {
    this.#flushMs = flushMs;
    this.#bufferBytes = bufferBytes;
    this.#post = post;
  }

  add(entry: Uint8Array): void {
    this.#entries.push(entry);
    this.#bytes += entry.length;
    if (this.#entries.length >= maxBatch || this.#bytes >= this.#bufferBytes) this.flush();
    else this.#timer ??= setTimeout(() => this.flush(), this.#flushMs).unref();
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#entries.length === 0) return;
    const entries = this.#entries;
    this.#entries = [];
    this.#bytes = 0;
    this.#post(entries);
  }
}

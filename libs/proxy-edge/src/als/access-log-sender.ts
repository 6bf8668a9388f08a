import { Client, type ChannelCredentials, type ClientWritableStream } from '@grpc/grpc-js';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { AccessLogServiceService, type StreamAccessLogsMessage, type StreamAccessLogsResponse } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import { withDeadline } from '@meltemi/base';
import { HTTPAccessLogEntry, TCPAccessLogEntry } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';

/** Where one sink's entries go. */
export interface AlsTarget {
  readonly address: string;
  readonly credentials: ChannelCredentials;
  readonly options?: Readonly<Record<string, string | number>>;
}

export interface AccessLogSenderOptions {
  readonly node: Node;
  readonly logName: string;
  readonly kind: 'http' | 'tcp';
  /** Asked for every new stream; undefined while the cluster has no endpoint. */
  readonly target: () => AlsTarget | undefined;
  readonly onDropped: (entries: number) => void;
}

/** Entries kept while the service is away; beyond it the newest are dropped and counted. */
const maxBuffered = 10_000;
const retryMs = 1000;
/** Longest wait for the service at the end. */
const lastEntriesMs = 1000;
/** gRPC servers take 4 MiB unless told otherwise; one message over it would end the stream and lose what it carried. */
const maxMessageBytes = 1024 * 1024;

/** Streams access log entries to an Envoy access log service; keeps a bounded buffer while it is away. */
export class AccessLogSender {
  readonly #options: AccessLogSenderOptions;
  #buffer: Uint8Array[] = [];
  #client: Client | undefined;
  #stream: ClientWritableStream<StreamAccessLogsMessage> | undefined;
  #writable = true;
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;
  #over: (() => void) | undefined;

  constructor(options: AccessLogSenderOptions) {
    this.#options = options;
  }

  /** Takes encoded entries (HTTPAccessLogEntry or TCPAccessLogEntry). */
  send(entries: readonly Uint8Array[]): void {
    const room = maxBuffered - this.#buffer.length;
    if (entries.length > room) this.#options.onDropped(entries.length - Math.max(0, room));
    this.#buffer.push(...entries.slice(0, Math.max(0, room)));
    this.#flush();
  }

  /** Sends what waits, if the service takes it soon; resolves when it has answered, or when that takes too long. */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#flush();
    this.#stopped = true;
    clearTimeout(this.#retry);
    const stream = this.#stream;
    if (stream !== undefined) {
      const over = new Promise<void>((resolve) => { this.#over = resolve; });
      stream.end();
      await withDeadline(over, lastEntriesMs, 'handing over the last access log entries').catch(() => undefined);
    }
    this.#client?.close();
  }

  #flush(): void {
    if (this.#stopped || this.#buffer.length === 0 || !this.#writable) return;
    const stream = this.#stream ?? this.#open();
    if (!stream) return;
    while (this.#writable && this.#buffer.length > 0) this.#writable = stream.write(this.#message(this.#take(), undefined));
  }

  /** The oldest entries, as many as one message may hold. */
  #take(): Uint8Array[] {
    let bytes = 0;
    const over = this.#buffer.findIndex((entry) => (bytes += entry.length) > maxMessageBytes);
    return this.#buffer.splice(0, over < 0 ? this.#buffer.length : Math.max(1, over));
  }

  #open(): ClientWritableStream<StreamAccessLogsMessage> | undefined {
    const target = this.#options.target();
    if (!target) {
      this.#retryLater();
      return undefined;
    }
    this.#client?.close();
    this.#client = new Client(target.address, target.credentials, { 'grpc.initial_reconnect_backoff_ms': 500, 'grpc.max_reconnect_backoff_ms': 4000, ...target.options });
    const { path, requestSerialize, responseDeserialize } = AccessLogServiceService.streamAccessLogs;
    const stream = this.#client.makeClientStreamRequest<StreamAccessLogsMessage, StreamAccessLogsResponse>(path, requestSerialize, responseDeserialize, () => this.#closed(stream));
    stream.on('drain', () => {
      this.#writable = true;
      this.#flush();
    });
    stream.on('error', () => this.#closed(stream));
    this.#stream = stream;
    this.#writable = stream.write(this.#message([], { node: this.#options.node, logName: this.#options.logName }));
    return stream;
  }

  #closed(stream: ClientWritableStream<StreamAccessLogsMessage>): void {
    this.#over?.();
    if (this.#stream !== stream) return;
    this.#stream = undefined;
    this.#writable = true;
    this.#retryLater();
  }

  #retryLater(): void {
    clearTimeout(this.#retry);
    if (this.#stopped) return;
    this.#retry = setTimeout(() => this.#flush(), retryMs);
    this.#retry.unref();
  }

  #message(entries: readonly Uint8Array[], identifier: { node: Node; logName: string } | undefined): StreamAccessLogsMessage {
    const logEntries: StreamAccessLogsMessage['logEntries'] = entries.length === 0
      ? undefined
      : this.#options.kind === 'http'
        ? { $case: 'httpLogs', value: { logEntry: entries.map((entry) => HTTPAccessLogEntry.decode(entry)) } }
        : { $case: 'tcpLogs', value: { logEntry: entries.map((entry) => TCPAccessLogEntry.decode(entry)) } };
    return { ...(identifier ? { identifier } : {}), ...(logEntries ? { logEntries } : {}) };
  }
}

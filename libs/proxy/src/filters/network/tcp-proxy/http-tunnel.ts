import { RequestHead, type HeaderMap, type ResponseHead, type StreamInfo } from '@meltemi/http';
import { applyHeaderOps } from '@meltemi/route';
import type { TunnelingConfig } from '@meltemi/snapshot';
import type { Host } from '../../../balance/index.ts';
import { ignoreConnection, type ByteConnection, type ConnectionObserver, type ConnectionSink } from '../../../connection.ts';
import type { RequestWriter, UpstreamReset } from '../../../stream.ts';
import type { ConnectionCallbacks, NewStreamOptions, PendingStream, PoolFailure, StreamCallbacks, UpstreamConnectionInfo, UpstreamCluster } from '../../../upstream.ts';
import { serverNameFor } from '../../http/router/server-name.ts';

/** Filter state under which an answer's fields are kept, where the config asks for it. */
export const tunnelHeadersKey = 'envoy.tcp_proxy.propagate_response_headers';
export const tunnelTrailersKey = 'envoy.tcp_proxy.propagate_response_trailers';

/** Opens a connection within an HTTP request (tunneling_config): it is there once the host has answered that it is. */
export function openHttpTunnel(cluster: UpstreamCluster, host: Host, tunnel: { readonly config: TunnelingConfig; readonly info: StreamInfo }, callbacks: ConnectionCallbacks): PendingStream {
  const opened = new HttpTunnel(cluster, host, tunnel, callbacks);
  opened.open();
  return opened;
}

/**
 * A stream that looks like a byte connection. Deviation: when the upstream finishes, the way to it is closed, too; Envoy keeps that half open.
 * @hot
 */
class HttpTunnel implements ByteConnection, StreamCallbacks, PendingStream {
  sink: ConnectionSink = ignoreConnection;
  observer: ConnectionObserver | null = null;
  bytesRead = 0;
  bytesWritten = 0;
  closed = false;
  readonly pendingBytes = 0;
  readonly #cluster: UpstreamCluster;
  readonly #host: Host;
  readonly #config: TunnelingConfig;
  readonly #info: StreamInfo;
  /** Who waits for the answer; null once it came. */
  #waiting: ConnectionCallbacks | null;
  #pending: PendingStream | null = null;
  #writer: RequestWriter | null = null;
  #connection: UpstreamConnectionInfo | null = null;
  #active = false;
  #counted = false;
  #fresh = false;

  constructor(cluster: UpstreamCluster, host: Host, { config, info }: { readonly config: TunnelingConfig; readonly info: StreamInfo }, callbacks: ConnectionCallbacks) {
    this.#cluster = cluster;
    this.#host = host;
    this.#config = config;
    this.#info = info;
    this.#waiting = callbacks;
  }

  get id(): number {
    return this.#connection?.id ?? 0;
  }

  get remoteAddress(): string {
    return this.#connection?.remoteAddress ?? this.#host.key;
  }

  get localAddress(): string {
    return this.#connection?.localAddress ?? '';
  }

  get tls(): ByteConnection['tls'] {
    return this.#connection?.tls ?? null;
  }

  open(): void {
    const { config: cluster, stats } = this.#cluster;
    stats.rqTotal.inc();
    stats.rqActive.inc();
    this.#active = true;
    const { method } = this.#config;
    const head = this.#head();
    const options: NewStreamOptions = { priority: 'default', upgrade: method === 'CONNECT', fresh: this.#fresh, method, serverName: serverNameFor(cluster, head), http2: false };
    const pending = this.#cluster.newStream(this.#host, options, this);
    if (this.#writer === null && !this.closed) this.#pending = pending;
  }

  /** Gives up waiting; nothing is told. */
  cancel(): void {
    this.#waiting = null;
    this.#abandon();
  }

  #head(): RequestHead {
    const { method, path, hostname, headers } = this.#config;
    const head = new RequestHead(method, method === 'POST' ? path : '', hostname.format(this.#info));
    applyHeaderOps(headers, head.headers, this.#info);
    return head;
  }

  // StreamCallbacks

  onReady(writer: RequestWriter, connection: UpstreamConnectionInfo): void {
    this.#pending = null;
    this.#writer = writer;
    this.#connection = connection;
    this.#counted = true;
    this.#cluster.limits.default.requests++;
    const head = this.#head();
    if (connection.tls !== null) head.scheme = 'https';
    writer.head(head, false);
  }

  onPoolFailure(failure: PoolFailure): void {
    this.#pending = null;
    this.#fail(failure);
  }

  onInterim(): void {}

  onHead(head: ResponseHead, endStream: boolean): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    const agreed = this.#connection?.protocol === 'HTTP/2' ? head.status === 200 : head.status >= 200 && head.status < 300;
    if (this.#config.propagateResponseHeaders) this.#info.setFilterState(tunnelHeadersKey, fieldsOf(head.headers));
    if (!agreed || endStream) {
      this.#writer?.reset();
      return this.#fail({ kind: 'connect', transportFailure: null });
    }
    this.#waiting = null;
    return waiting.onReady(this);
  }

  onData(buffer: Buffer, start: number, end: number): void {
    this.bytesRead += end - start;
    this.sink.onData(start === 0 ? buffer : buffer.subarray(start, end), end - start);
  }

  onEnd(trailers: HeaderMap | null): void {
    if (trailers !== null && this.#config.propagateResponseTrailers) this.#info.setFilterState(tunnelTrailersKey, fieldsOf(trailers));
    this.#release();
    if (this.closed) return;
    this.closed = true;
    this.sink.onEnd();
    this.sink.onClose(null);
  }

  onReset(reset: UpstreamReset): void {
    this.#cluster.stats.rqRxReset.inc();
    if (this.#waiting === null) return this.#broken(new Error(`the tunnel was reset: ${reset.detail || reset.kind}`));
    if (!reset.stale || this.#fresh) return this.#fail({ kind: 'connect', transportFailure: null });
    this.#release();
    this.#fresh = true;
    return this.open();
  }

  onWritable(): void {
    this.sink.onDrain();
  }

  // ByteConnection

  writeText(text: string): boolean {
    const bytes = Buffer.from(text, 'latin1');
    return this.write(bytes, 0, bytes.length);
  }

  writeHead(line: string, fields: readonly string[], rest: string): boolean {
    let text = line;
    for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`;
    return this.writeText(text + rest);
  }

  write(buffer: Buffer, start: number, end: number): boolean {
    if (this.#writer === null) return true;
    this.bytesWritten += end - start;
    return this.#writer.data(buffer, start, end);
  }

  requestFlush(): void {
    this.sink.onFlush?.();
  }

  flush(): void {}

  end(): void {
    this.#writer?.end(null);
  }

  pause(): void {
    this.#writer?.pauseResponse();
  }

  resume(): void {
    this.#writer?.resumeResponse();
  }

  destroy(cause?: Error): void {
    if (this.closed) return;
    this.#abandon();
    this.sink.onClose(cause ?? null);
  }

  #broken(cause: Error): void {
    if (this.closed) return;
    this.#release();
    this.closed = true;
    this.sink.onClose(cause);
  }

  #fail(failure: PoolFailure): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    this.#release();
    this.closed = true;
    waiting?.onPoolFailure(failure);
  }

  #abandon(): void {
    this.closed = true;
    this.#pending?.cancel();
    this.#pending = null;
    const writer = this.#writer;
    this.#release();
    if (writer === null) return;
    this.#cluster.stats.rqTxReset.inc();
    writer.reset();
  }

  /** Gives back what the request counted against. Once per request. */
  #release(): void {
    this.#writer = null;
    if (this.#counted) this.#cluster.limits.default.requests--;
    this.#counted = false;
    if (!this.#active) return;
    this.#active = false;
    this.#cluster.stats.rqActive.dec();
    this.#cluster.stats.rqCompleted.inc();
  }
}

function fieldsOf({ flat }: HeaderMap): Record<string, string> {
  const fields: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) fields[flat[i] ?? ''] = flat[i + 1] ?? '';
  return fields;
}

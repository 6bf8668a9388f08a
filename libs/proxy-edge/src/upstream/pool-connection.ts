import { Http1ClientConnection, type ByteConnection, type NewStreamOptions, type RequestWriter, type StreamCallbacks, type UpstreamConnectionInfo } from '@meltemi/proxy';
import type { Cluster } from '@meltemi/snapshot';

/** What a pool hears of its connections. */
export interface PoolConnectionOwner {
  /** The connection can take a request again, or more at once than before. */
  onRoom(connection: PoolConnection): void;
  /** The connection is gone or must not be used again. Once. */
  onGone(connection: PoolConnection): void;
}

/** One open connection of a pool, whatever the version of HTTP. @hot */
export interface PoolConnection {
  readonly connection: ByteConnection;
  readonly info: UpstreamConnectionInfo;
  /** Takes several requests at once. */
  readonly multiplexed: boolean;
  /** Requests that it can take now. */
  readonly room: number;
  readonly busy: boolean;
  /** Requests begun. */
  readonly requests: number;
  readonly openedMs: number;
  /** Coarse monotonic milliseconds since when it is idle; kept by the pool. */
  idleSinceMs: number;
  /** What was counted of its bytes already. */
  readBefore: number;
  writtenBefore: number;
  begin(options: NewStreamOptions, callbacks: StreamCallbacks): RequestWriter;
  /** Finishes what is under way, takes nothing new. */
  retire(): void;
}

/** HTTP/1.1: one request at a time. */
export class Http1PoolConnection implements PoolConnection {
  readonly connection: ByteConnection;
  readonly info: UpstreamConnectionInfo;
  readonly multiplexed = false;
  readonly openedMs: number;
  idleSinceMs = 0;
  readBefore = 0;
  writtenBefore = 0;
  readonly #client: Http1ClientConnection;

  constructor(connection: ByteConnection, owner: PoolConnectionOwner, { cluster, remoteAddress, nowMs }: { cluster: Cluster; remoteAddress: string; nowMs: number }) {
    this.connection = connection;
    this.openedMs = nowMs;
    this.idleSinceMs = nowMs;
    this.info = { id: connection.id, localAddress: connection.localAddress, remoteAddress, tls: connection.tls, protocol: 'HTTP/1.1' };
    const limits = { maxHeadBytes: 60 * 1024, maxFields: cluster.http.maxHeadersCount };
    this.#client = new Http1ClientConnection(connection, { onIdle: () => owner.onRoom(this), onGone: () => owner.onGone(this) }, { ...cluster.http.http1, limits });
  }

  get room(): number {
    return this.#client.busy || this.#client.retired ? 0 : 1;
  }

  get busy(): boolean {
    return this.#client.busy;
  }

  get requests(): number {
    return this.#client.requests;
  }

  begin(options: NewStreamOptions, callbacks: StreamCallbacks): RequestWriter {
    this.#client.begin(callbacks, options.method, options.upgrade);
    // After a switch of protocols nothing of HTTP comes back.
    if (options.upgrade) this.#client.retired = true;
    return this.#client;
  }

  retire(): void {
    this.#client.retire();
  }
}

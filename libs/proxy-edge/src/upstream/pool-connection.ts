import { Http1ClientConnection, Http2ClientConnection, type ByteConnection, type ClusterStats, type NewStreamOptions, type RequestWriter, type StreamCallbacks, type UpstreamConnectionInfo } from '@meltemi/proxy';
import type { Random } from '@meltemi/base';
import type { Cluster } from '@meltemi/snapshot';

/** What a pool hears of its connections. */
export interface PoolConnectionOwner {
  /** The connection can take a request again, or more at once than before. */
  onRoom(connection: PoolConnection): void;
  /** The host says how many requests it takes at once on one connection. */
  onStreamLimit(streams: number): void;
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
  /** Brings the gauges of its streams up to date. */
  count(): void;
}

/** What a connection is made with. */
export interface PoolConnectionOptions {
  readonly cluster: Cluster;
  readonly remoteAddress: string;
  readonly random: Random;
  readonly stats: Pick<ClusterStats, 'http2'>;
  /** Requests that an HTTP/2 connection takes before the host has said how many. */
  readonly streamsAtFirst: number;
  /** Coarse monotonic milliseconds. */
  now(): number;
  after(delayMs: number, task: () => void): () => void;
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

  constructor(connection: ByteConnection, owner: PoolConnectionOwner, options: PoolConnectionOptions) {
    const { cluster, remoteAddress, random } = options;
    this.connection = connection;
    this.openedMs = options.now();
    this.idleSinceMs = this.openedMs;
    this.info = { id: connection.id, localAddress: connection.localAddress, remoteAddress, tls: connection.tls, protocol: 'HTTP/1.1' };
    const limits = { maxHeadBytes: 60 * 1024, maxFields: cluster.http.maxHeadersCount };
    this.#client = new Http1ClientConnection(connection, { onIdle: () => owner.onRoom(this), onGone: () => owner.onGone(this) }, { ...cluster.http.http1, limits, random });
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

  /** Its one request is counted by the cluster. */
  count(): void {}
}

/** How long the rest of a connection that ends is waited for. */
const lingerMs = 1000;

/** HTTP/2: as many requests at once as both sides allow. */
export class Http2PoolConnection implements PoolConnection {
  readonly connection: ByteConnection;
  readonly info: UpstreamConnectionInfo;
  readonly multiplexed = true;
  readonly openedMs: number;
  idleSinceMs: number;
  readBefore = 0;
  writtenBefore = 0;
  readonly #client: Http2ClientConnection;

  constructor(connection: ByteConnection, owner: PoolConnectionOwner, options: PoolConnectionOptions) {
    const { cluster, remoteAddress, random, streamsAtFirst } = options;
    this.connection = connection;
    this.openedMs = options.now();
    this.idleSinceMs = this.openedMs;
    this.info = { id: connection.id, localAddress: connection.localAddress, remoteAddress, tls: connection.tls, protocol: 'HTTP/2' };
    const room = () => owner.onRoom(this);
    this.#client = new Http2ClientConnection(connection, { onCapacity: room, onIdle: room, onStreamLimit: (streams) => owner.onStreamLimit(streams), onGoAway: () => {}, onGone: () => owner.onGone(this) }, {
      http2: cluster.http.http2, streamsAtFirst, limits: { maxHeadBytes: 60 * 1024, maxFields: cluster.http.maxHeadersCount }, lingerMs, random, stats: options.stats.http2(), now: () => options.now(), after: (delayMs, task) => options.after(delayMs, task),
    });
  }

  get room(): number {
    return this.#client.capacity;
  }

  get busy(): boolean {
    return this.#client.busy;
  }

  get requests(): number {
    return this.#client.requests;
  }

  begin(options: NewStreamOptions, callbacks: StreamCallbacks): RequestWriter {
    return this.#client.newStream(callbacks, options.method, options.upgrade);
  }

  retire(): void {
    this.#client.retire();
  }

  count(): void {
    this.#client.count();
  }
}

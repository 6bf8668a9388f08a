import type { ServerCredentials } from '@grpc/grpc-js';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { Clock, Rate } from '@meltemi/base';
import type { ConnectionLimits, ConnectionRefusalReason } from '@meltemi/identity-edge';
import type { Refusal, RefusedResource, ResourceSet, SubscribedNames, TypeStatus, XdsSnapshot } from '@meltemi/xds';

/** One door of the ADS server. */
export interface AdsListener {
  /** Comes back in `Peer.listener`: how the caller knows which trust the door gives. */
  readonly name: string;
  /** "127.0.0.1:15010", "[::1]:0", "unix:/run/pilot/xds.sock". Port 0 = any. */
  readonly address: string;
  readonly credentials: ServerCredentials;
}

/** Who is on the other end. */
export interface Peer {
  readonly listener: string;
  /** Remote address with port, or "unix:…". */
  readonly address: string;
  /** The client certificate's SPIFFE id, verified by TLS; undefined without a certificate, or when it has not exactly one SPIFFE URI. */
  readonly identity: string | undefined;
  /** When the client certificate ends, milliseconds since the epoch: then the stream ends too. */
  readonly certificateEndsMs?: number | undefined;
}

/** The first message of a stream. */
export interface ClientHello {
  readonly node: Node;
  readonly peer: Peer;
  readonly protocol: 'delta' | 'sotw';
  /** Unique per stream within this process. */
  readonly connectionId: string;
}

/** Why a client is not served. `code` is a gRPC status: 7 PERMISSION_DENIED, 16 UNAUTHENTICATED, 8 RESOURCE_EXHAUSTED, 3 INVALID_ARGUMENT. */
export interface ConnectionRefusal {
  readonly refuse: { readonly code: number; readonly message: string };
}

/** A snapshot to bring a client to. `reason` goes to the log. */
export interface Push extends XdsSnapshot {
  readonly reason: string;
}

/** One client's stream, as the config side sees it. All calls are cheap and never throw; after close they do nothing. */
export interface AdsConnection {
  readonly hello: ClientHello;
  /** Takes the newest snapshot. One push is in progress at most; while one is, only the newest waits. */
  push(push: Push): void;
  /** Brings a type that depends on nothing (secrets) up to date within the push in progress, at once. Without effect before the first push. */
  amend(set: ResourceSet): void;
  /** Every type the client asked for. */
  status(): readonly TypeStatus[];
  /** The last revision the client follows: accepted every type it asked for. */
  followedRevision(): string | undefined;
  /** Names and wildcard per type URL, as of now. */
  subscriptions(): ReadonlyMap<string, SubscribedNames>;
  /** Ends the stream (gRPC UNAVAILABLE unless told); the client will come back. */
  close(reason: string, code?: number): void;
}

/** The config side's ear on one stream. Called synchronously, in order; a throw ends that stream and no other. */
export interface ClientHandler {
  /** Whether pushes wait for ACKs in make-before-break order; default true. False for proxyless gRPC, which asks for clusters after routes. */
  readonly ordered?: boolean;
  /**
   * Called before a changed subscription is answered. 'complete' (or nothing): what is missing in the current snapshot does not exist and is
   * answered so. 'more-comes': missing names stay unanswered until the next `push`.
   */
  onSubscribe?(typeUrl: string, subscribed: SubscribedNames): 'complete' | 'more-comes' | undefined;
  onAck?(typeUrl: string, version: string): void;
  onNack?(typeUrl: string, refusal: Refusal): void;
  /** The client let a step's deadline pass; the push goes on. */
  onLagging?(typeUrl: string, revision: string): void;
  /**
   * The client answered everything it asked for of this revision, once per revision. `refused` is what it does not take, whether it came
   * with this revision or an earlier one: the caller knows which of them the change at hand touched.
   */
  onSettle?(revision: string, refused: readonly RefusedResource[]): void;
  /** The client accepted everything it asked for of this revision (or nothing differed). Skipped revisions are covered by later ones. */
  onFollow?(revision: string): void;
  /** What the client's probe found of its application; a text says why it is not ready. */
  onHealth?(unhealthy: string | undefined): void;
  onClose?(reason: string): void;
}

/** Every bound of the server; a client over one is ended with RESOURCE_EXHAUSTED. */
export interface AdsLimits {
  /** Default 4 MiB. */
  readonly maxRequestBytes: number;
  /** Largest response gRPC may send. Default 64 MiB. */
  readonly maxResponseBytes: number;
  /** Names per stream over all types. Default 100,000. */
  readonly maxNames: number;
  /** Default 10,000. */
  readonly maxStreams: number;
  /** Of one client: an identity, or an address where none is proved. Default a quarter of `maxStreams`. */
  readonly maxStreamsPerClient: number;
  /** How often one client may begin a stream; default 200 a second, 2,000 at once. */
  readonly streamRatePerClient: Rate;
  /** Requests of one stream: beyond it they wait unread. Default 200 a second, 2,000 at once. */
  readonly requestRate: Rate;
  /** Of connections, by address and identity. */
  readonly connections: ConnectionLimits;
}

/** What a client was refused for. */
export type AdsLimitReason = 'open' | 'rate' | ConnectionRefusalReason;

export interface AdsServerOptions {
  readonly listeners: readonly AdsListener[];
  /** Decides on a new client, once its first request with a node has come. The connection may be pushed to at once, or later. */
  onConnect(hello: ClientHello, connection: AdsConnection): ClientHandler | ConnectionRefusal;
  /** Sent as control_plane.identifier; '' = none. */
  readonly identifier?: string;
  readonly limits?: Partial<AdsLimits>;
  /** Told of each connection or stream that is refused for what its client has already. */
  readonly onLimited?: (reason: AdsLimitReason, client: string) => void;
  /** Longest wait for an ACK before a push goes on; default 5,000. */
  readonly stepDeadlineMs?: number;
  /** Longest wait for a stream's first request; default 10,000. */
  readonly firstRequestDeadlineMs?: number;
  /** HTTP/2 pings on idle connections; defaults 30,000 and 10,000. */
  readonly keepaliveMs?: number;
  readonly keepaliveTimeoutMs?: number;
  /** A client that does not read for this long is ended; default 60,000. While it does not read, its requests are not read either. */
  readonly stalledDeadlineMs?: number;
  /** Streams are ended after this long so that clients spread over pilots anew; 0 = never (default). */
  readonly maxStreamAgeMs?: number;
  readonly clock?: Clock;
  readonly log?: AdsLog;
}

/** The two levels used, as pino has them. */
export interface AdsLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** A running ADS server; made by `startAdsServer(options): Promise<AdsServer>`, which rejects when an address cannot be bound. */
export interface AdsServer {
  /** What was bound, by listener name: "127.0.0.1:41234". */
  readonly addresses: ReadonlyMap<string, string>;
  connections(): readonly AdsConnection[];
  /** Ends all streams and frees the ports, within the deadline (default 5,000 ms). */
  stop(deadlineMs?: number): Promise<void>;
}

import type { ChannelCredentials } from '@grpc/grpc-js';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { Clock, Random } from '@meltemi/base';
import type { RejectedResource, XdsResource } from '@meltemi/xds';

/** One response of one type, to be accepted or refused once, now or later. The next response of the type comes after that. */
export interface AdsUpdate {
  readonly typeUrl: string;
  /** The server's version of the whole; for logs. */
  readonly version: string;
  /** New and changed resources. */
  readonly added: readonly XdsResource[];
  /** Names that are gone, or that were asked for and do not exist. */
  readonly removed: readonly string[];
  /** All applied: ACK. */
  accept(): void;
  /** These were refused, the others applied: NACK naming each. Without resources the text is about the response as a whole, and nothing of it was applied. */
  reject(errors: readonly RejectedResource[] | string): void;
}

/** One server that can be dialled. */
export interface XdsTarget {
  /** A DNS name with port ("localhost:15012"), an IP address with port for plaintext, or "unix:/path". */
  readonly address: string;
  /** Called for every new channel, so that a renewed certificate is used from the next connection on. */
  credentials(): ChannelCredentials;
  /** The name to verify in the server's certificate instead of the address's. */
  readonly serverName?: string;
  /** The :authority of requests, when it is not the address. */
  readonly authority?: string;
  /** Sent with every stream. */
  readonly metadata?: readonly (readonly [string, string])[];
}

/** What is known of the application behind a proxy. */
export interface HealthSource {
  /** Undefined while nothing is. */
  readonly current: { readonly healthy: true } | { readonly healthy: false; readonly reason: string } | undefined;
  /** Told of each change; returns how to unsubscribe. */
  subscribe(listener: () => void): () => void;
}

export interface AdsClientOptions extends XdsTarget {
  /** Dialled in turn, after the first one, while none of them answers. */
  readonly others?: readonly XdsTarget[];
  /** The service of this resource type alone, instead of the aggregated one that has them all. */
  readonly onlyType?: string;
  /** The node goes with every request, not only a stream's first; default false. */
  readonly nodeInEveryRequest?: boolean;
  /** Sent with the first request of every stream. */
  readonly node: Node;
  /** Default 'delta'. */
  readonly protocol?: 'delta' | 'sotw';
  /** Told to the server on each stream, and when it changes. Default: nothing is. */
  readonly health?: HealthSource;
  onUpdate(update: AdsUpdate): void;
  onConnected?(): void;
  /** The last config stays in force; the client dials again by itself. Called once per lost or failed connection, with the reason. */
  onDisconnected?(reason: string): void;
  /** First wait after a failure, doubling up to the cap, each with jitter of ±20 %. Defaults 250 and 4,000 (jitter included), so that a restarted server is followed within 5 s. */
  readonly initialBackoffMs?: number;
  readonly maxBackoffMs?: number;
  /** Longest wait for the connection to be ready; default 5,000. */
  readonly connectDeadlineMs?: number;
  /** HTTP/2 pings; defaults 10,000 and 5,000. */
  readonly keepaliveMs?: number;
  readonly keepaliveTimeoutMs?: number;
  /** Largest response; default 64 MiB. */
  readonly maxResponseBytes?: number;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** A running ADS client; made by `startAdsClient(options): AdsClient`. Subscriptions may change at any time, connected or not. */
export interface AdsClient {
  subscribe(typeUrl: string, names: Iterable<string> | '*'): void;
  /** What was held under these names is forgotten; no `removed` update comes for it. */
  unsubscribe(typeUrl: string, names: Iterable<string> | '*'): void;
  readonly connected: boolean;
  /** Drops the connection and dials anew at once: after a certificate was renewed, for one. */
  reconnect(reason: string): void;
  stop(): Promise<void>;
}

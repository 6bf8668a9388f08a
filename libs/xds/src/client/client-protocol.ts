import type { Duration } from '@meltemi/api/gen/google/protobuf/duration.ts';
import type { XdsResource } from '../resource-set.ts';
import type { RejectedResource } from './client-types.ts';

/** What a client wants of one type, and what it has. */
export interface ClientSubscription {
  readonly typeUrl: string;
  readonly wildcard: boolean;
  readonly names: ReadonlySet<string>;
  /** Accepted resources: name → version. Outlives streams; this is what a reconnect tells the server. */
  readonly held: ReadonlyMap<string, string>;
  /** version_info of the last accepted response (SotW only). */
  readonly acceptedVersion: string;
  /** Nonce of the last answered response of this stream; '' on a new stream. */
  readonly nonce: string;
}

/** A response, read against what the client has. */
export interface Reading {
  readonly nonce: string;
  readonly version: string;
  readonly added: readonly XdsResource[];
  readonly removed: readonly string[];
  /** Name → how long it may be held from now on, of what came with a TTL: also of heartbeats, which have no body. */
  readonly ttls: ReadonlyMap<string, number>;
  /** Resources that cannot even be handed on. */
  readonly malformed: readonly RejectedResource[];
}

/** One of the two protocols, as pure functions. Requests come without node: the stream's first one gets it. */
export interface ClientProtocol<Request, Response> {
  /** The first request for a type on a stream. */
  first(subscription: ClientSubscription): Request;
  /** Tells the server of changed names. */
  change(subscription: ClientSubscription, change: NameChange): Request;
  /** True when changed names may be told while a response is undecided; otherwise they go with its ACK. */
  readonly changesAnytime: boolean;
  typeUrlOf(response: Response): string;
  read(subscription: ClientSubscription, response: Response): Reading;
  /** ACK, or NACK when there is an error text. */
  answer(subscription: ClientSubscription, reading: Reading, error: string | undefined): Request;
  /** Tells of an application's health; a text says why it is not ready. */
  health(unhealthy: string | undefined): Request;
  withNode(request: Request, node: NodeOf<Request>): Request;
}

export type NodeOf<Request> = Request extends { node?: infer N | undefined } ? N : never;

/** '*' stands for the wildcard. */
export interface NameChange {
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
}

/** A TTL of the wire in milliseconds. */
export function ttlMs(ttl: Duration): number {
  return Number(ttl.seconds) * 1000 + ttl.nanos / 1e6;
}

/** INTERNAL, the code that goes with a reason why an application is not ready. Source: Istio's agent. */
export const unhealthyCode = 13;

/** INVALID_ARGUMENT, the code of a NACK. */
export const nackCode = 3;

import type { XdsResource } from '../resource-set.ts';

/** One resource a client refuses, and why. */
export interface RejectedResource {
  readonly name: string;
  readonly reason: string;
}

/** One response of one type, handed to the application. `ticket` is how it says later what became of it. */
export interface ClientUpdate {
  readonly ticket: number;
  readonly typeUrl: string;
  readonly version: string;
  readonly added: readonly XdsResource[];
  readonly removed: readonly string[];
  /** Name → milliseconds, of resources (or mere heartbeats) that came with a TTL. When it is over `expire` says so. */
  readonly ttls: ReadonlyMap<string, number>;
}

/** The application's verdict: all good; these refused and the rest applied; or nothing applied. */
export type Verdict =
  | { readonly kind: 'accept' }
  | { readonly kind: 'reject'; readonly resources: readonly RejectedResource[] }
  | { readonly kind: 'reject-all'; readonly reason: string };

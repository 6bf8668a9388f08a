import type { Hash64, Random } from '@meltemi/base';
import type { MetadataCriteria } from '@meltemi/route';
import type { Host } from './host.ts';

/** What one pick may depend on. Reused by the caller: pickers keep nothing of it. */
export interface PickContext {
  readonly metadataMatch: MetadataCriteria | null;
  /** Hosts tried before (retry_host_predicate previous_hosts); null = none to avoid. */
  readonly previousHosts: readonly Host[] | null;
  /** Priorities tried before (retry_priority previous_priorities), which are left out; null = none. The picker empties it when no other has hosts. */
  readonly triedPriorities: number[] | null;
  /** How often to pick again when previous hosts come up (host_selection_retry_max_attempts); the last one is taken as it is. */
  readonly maxAttempts: number;
  readonly random: Random;
  /** Fills in the request's hash by its route's hash policy, false when that gives none. Asked by policies that hash, and by no others. */
  hash(into: Hash64): boolean;
  /** A field of the request, for destinations that a header names; null when there is none. */
  field(name: string): string | null;
}

/** What a connection or a copy of a request gives that has neither hash policy nor head. */
export const plainPick: Pick<PickContext, 'hash' | 'field' | 'triedPriorities'> = { triedPriorities: null, hash: () => false, field: () => null };

/** Chooses a host now, or null when there is none (503 UH). Its hosts never change, its cursor does; one per worker and cluster. @hot */
export interface Picker {
  pick(context: PickContext): Host | null;
}

/** What the pickers of a cluster ask of their surroundings. */
export interface BalanceParts {
  /** Monotonic milliseconds, coarse ones will do: for slow start. */
  now(): number;
  /** Requests in flight to the cluster: for bounded load. */
  activeRequests(): number;
  /** Counts under the cluster's name: lb_healthy_panic, lb_subsets_selected, lb_subsets_fallback, lb_subsets_fallback_panic. */
  count(stat: LbStat): void;
}

/** Those of zone aware routing. */
type ZoneStat = 'lb_recalculate_zone_structures' | 'lb_local_cluster_not_ok' | 'lb_zone_cluster_too_small' | 'lb_zone_routing_all_directly' | 'lb_zone_routing_sampled' | 'lb_zone_routing_cross_zone' | 'lb_zone_no_capacity_left';

export type LbStat = ZoneStat | 'lb_healthy_panic' | 'lb_subsets_selected' | 'lb_subsets_fallback' | 'lb_subsets_fallback_panic';

/** A single pick under way, as pickers within one list of hosts see it: one object per picker, filled in anew. */
export interface Draw {
  random: Random;
  readonly hash: Hash64;
  /** 0 = first pick; more = pick again, somewhere else. */
  attempt: number;
}

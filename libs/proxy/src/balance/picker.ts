import type { Random } from '@meltemi/base';
import type { MetadataCriteria } from '@meltemi/route';
import type { Host } from './host.ts';

/** What one pick may depend on. Reused by the caller: pickers keep nothing of it. */
export interface PickContext {
  readonly metadataMatch: MetadataCriteria | null;
  /** Hosts tried before (retry_host_predicate previous_hosts); null = none to avoid. */
  readonly previousHosts: readonly Host[] | null;
  /** How often to pick when previous hosts come up (host_selection_retry_max_attempts); the last one is taken as it is. */
  readonly maxAttempts: number;
  readonly random: Random;
}

/** Chooses a host now, or null when there is none (503 UH). Its hosts never change, its cursor does; one per worker and cluster. @hot */
export interface Picker {
  pick(context: PickContext): Host | null;
}

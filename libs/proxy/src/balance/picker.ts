import type { MetadataCriteria } from '@meltemi/route';
import type { Random } from '@meltemi/base';
import type { Host } from './host.ts';

/** What one pick may depend on. Reused by the caller: pickers keep nothing of it. */
export interface PickContext {
  readonly metadataMatch: MetadataCriteria | null;
  /** Hosts tried before (retry_host_predicate previous_hosts); null = none to avoid. */
  readonly previousHosts: readonly Host[] | null;
  /** How often to pick again when a previous host comes up (host_selection_retry_max_attempts). */
  readonly maxAttempts: number;
  readonly random: Random;
}

/** Chooses a host now, or null when there is none (503 UH). Immutable set, mutable cursor; one per worker and cluster. @hot */
export interface Picker {
  pick(context: PickContext): Host | null;
}

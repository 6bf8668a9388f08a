import { ok, type Clock } from '@meltemi/base';
import type { StoreLimits } from './config-store.ts';
import { RevisionStore } from './revision-store.ts';

export interface MemoryStoreOptions {
  readonly clock: Clock;
  readonly limits?: Partial<StoreLimits>;
  /** Commits a watch can resume over; default 1000. */
  readonly maxHistory?: number;
}

/** The fake beside the port: a whole ConfigStore that forgets everything with the process. */
export function memoryConfigStore(options: MemoryStoreOptions): RevisionStore {
  return new RevisionStore({ ...options, journal: { append: async () => ok(undefined), close: async () => undefined } });
}

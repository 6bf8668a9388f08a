import type { FieldError } from '@meltemi/base';
import type { FlatStats } from '@meltemi/observe';
import type { ConfigSource, Reference } from '@meltemi/snapshot';
import type { OpenFeed } from '../sources/feed.ts';
import type { Compiler } from './compile.ts';
import type { ResourceStore } from './resource-store.ts';
import type { ResourceKind, ResourceUpdate, WorkerRefusal } from './worker-messages.ts';
import type { PoolLog } from './worker-pool.ts';

export interface DynamicConfigOptions {
  readonly compiler: Compiler;
  readonly store: ResourceStore;
  /** Resolves when every worker serves the update. */
  readonly apply: (update: ResourceUpdate) => Promise<readonly WorkerRefusal[]>;
  readonly open: OpenFeed;
  /** Secrets that this program keeps by itself: nobody is asked for them. */
  readonly isOwnSecret: (reference: Reference) => boolean;
  readonly log: PoolLog;
  readonly flat: FlatStats;
  readonly now: () => number;
  /** Clusters have arrived, and their endpoints and secrets, or were waited for long enough. */
  readonly onClustersReady: () => void;
  /** Listeners and what they need too, and the workers serve them. */
  readonly onInitialized: () => void;
  /** Takes name tables; throws for one that cannot be read. Unset: none is asked for. */
  readonly takeNames?: ((table: Uint8Array) => void) | undefined;
  /** A resource, or a whole file, was refused. */
  readonly onRefused?: (problem: FieldError) => void;
  /** The first stream to a server came up, or the last one was lost. */
  readonly onState: (connected: boolean) => void;
}

/** Where listeners and clusters come from; null = static ones only. */
export interface DynamicRoots {
  readonly lds: ConfigSource | null;
  readonly cds: ConfigSource | null;
}

/** What static resources need from elsewhere. */
export interface StaticOwner {
  readonly kind: ResourceKind;
  readonly name: string;
  /** Where it stands in the bootstrap. */
  readonly path: string;
  readonly references: readonly Reference[];
}

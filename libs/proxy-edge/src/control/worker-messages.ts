import type { StatsDelta } from '@meltemi/observe';
import type { DrainStrategy, NodeFacts } from '@meltemi/proxy';
import type { OverloadConfig } from '@meltemi/snapshot';
import type { ModuleSource } from '../modules/module-host.ts';
import type { DrainRequest } from '../server/listener-drains.ts';
import type { ProgramDrain } from '../server/program-drain.ts';

/** One resource on its way to the workers: encoded, each compiles its own copy. */
export interface WireResource {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Users' filters it names, as they were when it was accepted: every worker, and one that starts later, runs the same. */
  readonly modules?: readonly ModuleSource[];
}

/** A change of one type. */
export interface TypeChange {
  readonly set: readonly WireResource[];
  readonly removed: readonly string[];
}

/** Changes that belong together, of each type. */
export interface ResourceUpdate {
  readonly clusters: TypeChange;
  readonly endpoints: TypeChange;
  readonly secrets: TypeChange;
  readonly listeners: TypeChange;
  readonly routes: TypeChange;
  /** Scopes of routes (SRDS). */
  readonly scopes: TypeChange;
  /** Configs of HTTP filters (ECDS). */
  readonly extensions: TypeChange;
}

export type ResourceKind = keyof ResourceUpdate;

export const noChange: TypeChange = { set: [], removed: [] };
export const emptyUpdate: ResourceUpdate = { clusters: noChange, endpoints: noChange, secrets: noChange, listeners: noChange, routes: noChange, scopes: noChange, extensions: noChange };

export const resourceKinds = Object.keys(emptyUpdate) as readonly ResourceKind[];

/** One of something per kind of resource. */
export function perKind<T>(make: (kind: ResourceKind) => T): Readonly<Record<ResourceKind, T>> {
  return Object.fromEntries(resourceKinds.map((kind) => [kind, make(kind)])) as Record<ResourceKind, T>;
}

/** What a worker is started with. */
export interface WorkerSetup {
  readonly index: number;
  readonly concurrency: number;
  readonly node: NodeFacts;
  readonly drainTimeMs: number;
  readonly drainStrategy: DrainStrategy;
  /** How long lines of an access log file may wait to be written together. */
  readonly fileFlushMs: number;
  /** Counted up every so often while the thread's loop turns; see `Watchdog`. */
  readonly beats: Int32Array<SharedArrayBuffer>;
  readonly beatEveryMs: number;
  /** Memory that all workers and the control thread share: see SharedState. */
  readonly shared: SharedArrayBuffer;
  /** Memory of the SharedRows of several workers; null when there is but one. */
  readonly rows: SharedArrayBuffer | null;
  readonly overload: OverloadConfig | null;
  /** Connections of each worker, by index: shared memory. */
  readonly connections: Int32Array;
  /** Everything in force: a worker that replaces a dead one starts with it. */
  readonly state: ResourceUpdate;
}

export type ToWorker =
  | { readonly kind: 'apply'; readonly id: number; readonly update: ResourceUpdate }
  | { readonly kind: 'stats'; readonly id: number }
  | { readonly kind: 'describe'; readonly id: number }
  | { readonly kind: 'drain-listeners'; readonly request: DrainRequest; /** Wall clock. */ readonly startedMs: number }
  | { readonly kind: 'drain'; readonly drain: ProgramDrain }
  | { readonly kind: 'reopen-logs' }
  | { readonly kind: 'log-level'; readonly level: string };

/** Why one resource is not in force in a worker. */
export interface WorkerRefusal {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly message: string;
}

/** A bound listening socket. */
export interface BoundListener {
  readonly name: string;
  readonly address: string;
  readonly port: number;
}

/** Names and order as /clusters prints them. */
export const healthFlags = [
  'failed_active_hc', 'failed_outlier_check', 'failed_eds_health', 'degraded_active_hc', 'degraded_eds_health', 'pending_dynamic_removal', 'pending_active_hc', 'excluded_via_immediate_hc_fail',
] as const;
export type HealthFlag = (typeof healthFlags)[number];

/** One host of a cluster, as /clusters shows it. */
export interface HostDescription {
  readonly cluster: string;
  readonly address: string;
  readonly port: number;
  readonly hostname: string;
  readonly weight: number;
  readonly priority: number;
  /** What discovery says. */
  readonly edsHealth: 'healthy' | 'degraded' | 'unhealthy';
  /** Envoy's health flags, in Envoy's order; none = healthy. */
  readonly flags: readonly HealthFlag[];
  readonly activeRequests: number;
  readonly activeConnections: number;
  readonly requests: number;
}

export interface WorkerDescription {
  readonly listeners: readonly BoundListener[];
  readonly hosts: readonly HostDescription[];
}

export type FromWorker =
  | { readonly kind: 'ready'; readonly refusals: readonly WorkerRefusal[] }
  | { readonly kind: 'applied'; readonly id: number; readonly refusals: readonly WorkerRefusal[] }
  | { readonly kind: 'stats'; readonly id: number; readonly metrics: StatsDelta; readonly flat: StatsDelta }
  | { readonly kind: 'described'; readonly id: number; readonly description: WorkerDescription }
  | { readonly kind: 'reports'; readonly sink: string; readonly entries: readonly Uint8Array[] }
  | { readonly kind: 'log'; readonly level: 'info' | 'warn' | 'error'; readonly fields: Readonly<Record<string, unknown>>; readonly message: string }
  | { readonly kind: 'drained' };

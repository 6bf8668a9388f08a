import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import type { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { bundleVersion, type WorkloadCertificate } from '@meltemi/identity';
import type { FlatStats, StatsRegistry } from '@meltemi/observe';
import { nodeFacts, type DrainStrategy } from '@meltemi/proxy';
import { compileCluster, compileSecret, type Cluster, type Reference, type SecretValue, type OverloadConfig } from '@meltemi/snapshot';
import type { ProgramDrain } from '../server/program-drain.ts';
import type { OpenFeed } from '../sources/feed.ts';
import type { Compiler } from './compile.ts';
import { DynamicConfig } from './dynamic-config.ts';
import type { DynamicConfigOptions, DynamicRoots, StaticOwner } from './dynamic-types.ts';
import { identitySecrets } from './identity-secrets.ts';
import { unusableKeys } from './key-material.ts';
import { ResourceStore } from './resource-store.ts';
import { readStaticResources } from './static-resources.ts';
import { emptyUpdate, noChange, type WorkerRefusal } from './worker-messages.ts';
import type { WatchdogLimits } from './watchdog.ts';
import { WorkerPool, type PoolLog } from './worker-pool.ts';

export interface ControlOptions {
  readonly node: Node;
  /** cluster_manager.local_cluster_name. Default: none. */
  readonly localCluster?: string | undefined;
  readonly compiler: Compiler;
  readonly concurrency: number;
  readonly drainTimeMs: number;
  readonly drainStrategy: DrainStrategy;
  /** How long lines of an access log file may wait to be written together. */
  readonly fileFlushMs: number;
  readonly watchdog?: WatchdogLimits | undefined;
  /** Default: none. */
  readonly overload?: OverloadConfig | null;
  readonly workerScript: URL;
  readonly metrics: StatsRegistry;
  readonly flat: FlatStats;
  readonly log: PoolLog;
  readonly onReports: (sink: string, entries: readonly Uint8Array[]) => void;
}

/** Sources to follow. */
export interface FollowOptions extends DynamicRoots {
  readonly open: OpenFeed;
  /** Secrets that come from this program itself; default none. */
  readonly isOwnSecret?: (reference: Reference) => boolean;
  readonly onState?: (connected: boolean) => void;
  /** Takes name tables from pilot; throws for one that cannot be read. Unset: none is asked for. */
  readonly takeNames?: ((table: Uint8Array) => void) | undefined;
}

/** How far following has come. */
export interface Following {
  /** Static listeners serve, with what the workers could not do: clusters have what they need, or were waited for. */
  readonly staticListeners: Promise<readonly WorkerRefusal[]>;
  /** The first listeners serve. */
  readonly initialized: Promise<void>;
}

const silent: PoolLog = { info: () => {}, warn: () => {}, error: () => {} };

/** The proxy's control thread: owns what is in force, the workers, and the sources of configuration. No request passes through it. */
export class ControlThread {
  readonly store = new ResourceStore();
  readonly workers: WorkerPool;
  readonly #options: ControlOptions;
  #owners: readonly StaticOwner[] = [];
  #dynamic: DynamicConfig | undefined;
  /** Static listeners wait for the first clusters of a source. */
  #holding = false;

  constructor(options: ControlOptions) {
    this.#options = options;
    const metadata = (options.node.metadata ?? {}) as Readonly<Record<string, unknown>>;
    this.workers = new WorkerPool({
      script: options.workerScript, concurrency: options.concurrency, node: nodeFacts({ id: options.node.id, cluster: options.node.cluster, metadata, locality: options.node.locality, localCluster: options.localCluster ?? '' }), drainTimeMs: options.drainTimeMs, drainStrategy: options.drainStrategy, fileFlushMs: options.fileFlushMs, overload: options.overload ?? null, watchdog: options.watchdog,
      metrics: options.metrics, flat: options.flat, state: () => (this.#holding ? { ...this.store.state(), listeners: noChange } : this.store.state()), log: options.log, onReports: options.onReports,
    });
  }

  /** Takes a bootstrap's static resources; every problem comes back with its path, and then nothing is taken. Warnings go to the log. */
  loadStatic(resources: Bootstrap['staticResources'], nowMs: number): Result<void> {
    const read = readStaticResources(resources, this.#options.compiler);
    if (!read.ok) return read;
    for (const warning of read.value.warnings) this.#options.log.warn({ field: warning.path, reason: warning.message }, 'setting not acted on');
    for (const { kind, name, bytes, modules = [] } of read.value.resources) this.store.put(kind, { name, bytes, modules, version: '', lastUpdatedMs: nowMs, origin: 'static' });
    this.#owners = read.value.owners;
    return ok(undefined);
  }

  /** Reads what files hold, keys and certificates too, as far as they lead, and tells every problem; serves nothing. For `--mode validate`. */
  async validate(options: FollowOptions | null): Promise<FieldError[]> {
    const problems: FieldError[] = [];
    if (options !== null) {
      const dynamic = this.#makeDynamic(options, { log: silent, apply: () => Promise.resolve([]), onClustersReady: () => {}, onInitialized: () => {}, onRefused: (problem) => problems.push(problem) });
      problems.push(...dynamic.start(options, this.#owners));
      await dynamic.stop();
    }
    return [...problems, ...unusableKeys(this.store, (name) => this.secret(name), this.#options.compiler)];
  }

  /** Starts the workers on what is in force; resolves with what they could not do. `hold`: static listeners wait for `follow`. */
  start({ hold = false } = {}): Promise<WorkerRefusal[]> {
    this.#holding = hold;
    return this.workers.start();
  }

  /** A first or renewed identity, or other roots: new handshakes use it when this resolves, open connections stay. Rejects when a worker does not use it. */
  async identity(certificate: WorkloadCertificate, nowMs: number): Promise<void> {
    const secrets = identitySecrets(certificate);
    const version = `${certificate.serial}-${bundleVersion(certificate.trust).slice(0, 8)}`;
    for (const secret of secrets) this.store.put('secrets', { ...secret, version, lastUpdatedMs: nowMs, origin: 'dynamic' });
    const [refusal] = await this.workers.apply({ ...emptyUpdate, secrets: { set: secrets, removed: [] } });
    if (refusal) throw new Error(`worker: ${refusal.name}: ${refusal.message}`);
  }

  /** True when static resources need something from a source. */
  get needsSources(): boolean {
    return this.#owners.length > 0;
  }

  /** A static cluster, for what this program itself dials. */
  cluster(name: string): Cluster | undefined {
    const held = this.store.get('clusters', name);
    const compiled = held?.origin === 'static' ? compileCluster(ClusterMessage.decode(held.bytes), this.#options.compiler.extensions) : undefined;
    return compiled?.ok ? compiled.value.value : undefined;
  }

  secret(name: string): SecretValue | undefined {
    const held = this.store.get('secrets', name);
    const compiled = held && compileSecret(Secret.decode(held.bytes));
    return compiled?.ok ? compiled.value.value.value : undefined;
  }

  /** Follows sources of configuration. An error says what of the bootstrap cannot be followed. */
  follow(options: FollowOptions): Result<Following> {
    const ready = Promise.withResolvers<readonly WorkerRefusal[]>();
    const done = Promise.withResolvers<undefined>();
    const dynamic = this.#makeDynamic(options, {
      log: this.#options.log, apply: (update) => this.workers.apply(update),
      onClustersReady: () => void this.#release().then(ready.resolve, ready.reject),
      onInitialized: () => done.resolve(undefined),
    });
    this.#dynamic = dynamic;
    if (this.store.held('listeners').length === 0) ready.resolve([]);
    const errors = dynamic.start(options, this.#owners);
    return errors.length > 0 ? err(errors) : ok({ staticListeners: ready.promise, initialized: done.promise });
  }

  get connected(): boolean {
    return this.#dynamic?.connected ?? false;
  }

  /** Lets requests finish, at most until the deadline. Sources are followed meanwhile: what an application calls late should find the hosts of then. */
  async drain(drain: ProgramDrain): Promise<void> {
    await this.workers.drain(drain);
    await this.#dynamic?.stop();
  }

  async stop(): Promise<void> {
    await this.#dynamic?.stop();
    await this.workers.stop();
  }

  #makeDynamic(options: FollowOptions, more: Pick<DynamicConfigOptions, 'log' | 'apply' | 'onClustersReady' | 'onInitialized' | 'onRefused'>): DynamicConfig {
    const { compiler, flat } = this.#options;
    return new DynamicConfig({ compiler, flat, store: this.store, open: options.open, now: () => Date.now(), isOwnSecret: options.isOwnSecret ?? (() => false), onState: options.onState ?? (() => {}), takeNames: options.takeNames, ...more });
  }

  async #release(): Promise<readonly WorkerRefusal[]> {
    if (!this.#holding) return [];
    this.#holding = false;
    const held = this.store.held('listeners').filter(({ origin }) => origin === 'static').map(({ name, bytes, modules = [] }) => ({ name, bytes, modules }));
    return this.workers.apply({ ...emptyUpdate, listeners: { set: held, removed: [] } });
  }
}

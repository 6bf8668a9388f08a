import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import type { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import type { WorkloadCertificate } from '@meltemi/identity';
import type { FlatStats, StatsRegistry } from '@meltemi/observe';
import { nodeFacts } from '@meltemi/proxy';
import type { AdsClientOptions } from '@meltemi/xds-edge';
import { compileResource, type Compiler } from './compile.ts';
import { identitySecrets } from './identity-secrets.ts';
import { ResourceStore } from './resource-store.ts';
import { emptyUpdate, type ResourceKind, type WorkerRefusal } from './worker-messages.ts';
import { WorkerPool, type PoolLog } from './worker-pool.ts';
import { XdsSession } from './xds-session.ts';

export interface ControlOptions {
  readonly node: Node;
  readonly compiler: Compiler;
  readonly concurrency: number;
  readonly drainTimeMs: number;
  /** How long lines of an access log file may wait to be written together. */
  readonly fileFlushMs: number;
  readonly workerScript: URL;
  readonly metrics: StatsRegistry;
  readonly flat: FlatStats;
  readonly log: PoolLog;
  readonly onReports: (sink: string, entries: readonly Uint8Array[]) => void;
}

/** The proxy's control thread: owns what is in force, the workers, and the stream to the control plane. No request passes through it. */
export class ControlThread {
  readonly store = new ResourceStore();
  readonly workers: WorkerPool;
  readonly #options: ControlOptions;
  #xds: XdsSession | undefined;

  constructor(options: ControlOptions) {
    this.#options = options;
    const metadata = (options.node.metadata ?? {}) as Readonly<Record<string, unknown>>;
    this.workers = new WorkerPool({
      script: options.workerScript, concurrency: options.concurrency, node: nodeFacts({ id: options.node.id, cluster: options.node.cluster, metadata }), drainTimeMs: options.drainTimeMs, fileFlushMs: options.fileFlushMs,
      metrics: options.metrics, flat: options.flat, state: () => this.store.state(), log: options.log, onReports: options.onReports,
    });
  }

  /** Takes a bootstrap's static resources; every problem comes back with its path, and then nothing is taken. Warnings go to the log. */
  loadStatic(resources: Bootstrap['staticResources'], nowMs: number): Result<void> {
    const errors: FieldError[] = [];
    const found: { kind: ResourceKind; name: string; bytes: Uint8Array }[] = [
      ...(resources?.clusters ?? []).map((cluster) => ({ kind: 'clusters' as const, name: cluster.name, bytes: Cluster.encode(cluster).finish() })),
      ...(resources?.secrets ?? []).map((secret) => ({ kind: 'secrets' as const, name: secret.name, bytes: Secret.encode(secret).finish() })),
      ...(resources?.listeners ?? []).map((listener, index) => {
        const named = listener.name === '' ? { ...listener, name: `listener_${index}` } : listener;
        return { kind: 'listeners' as const, name: named.name, bytes: Listener.encode(named).finish() };
      }),
    ];
    const indexOf: Record<string, number> = {};
    const seen = new Set<string>();
    for (const { kind, name, bytes } of found) {
      const at = `static_resources.${kind}[${(indexOf[kind] = (indexOf[kind] ?? -1) + 1)}]`;
      if (name === '') errors.push({ path: `${at}.name`, message: 'is required' });
      else if (seen.has(`${kind}/${name}`)) errors.push({ path: `${at}.name`, message: `"${name}" is taken by an earlier one: names are unique` });
      seen.add(`${kind}/${name}`);
      const compiled = compileResource(this.#options.compiler, kind, { value: bytes });
      if (!compiled.ok) errors.push(...compiled.error.map((error) => ({ path: join(at, error.path), message: error.message })));
      else {
        for (const warning of compiled.value.warnings) this.#options.log.warn({ field: join(at, warning.path), reason: warning.message }, 'setting not acted on');
        if (compiled.value.edsName !== '') errors.push({ path: `${at}.type`, message: 'EDS needs a control plane: static clusters are STATIC, STRICT_DNS, LOGICAL_DNS or ORIGINAL_DST' });
        if (compiled.value.rdsNames.size > 0) errors.push({ path: at, message: `refers to route configuration ${[...compiled.value.rdsNames].join(', ')} over RDS, which needs a control plane: write route_config inline` });
      }
    }
    if (errors.length > 0) return err(errors);
    for (const { kind, name, bytes } of found) this.store.put(kind, { name, bytes, version: '', lastUpdatedMs: nowMs, origin: 'static' });
    return ok(undefined);
  }

  /** Starts the workers on what is in force; resolves with what they could not do. */
  start(): Promise<WorkerRefusal[]> {
    return this.workers.start();
  }

  /** A first or renewed identity: new handshakes use it, open connections stay. */
  async identity(certificate: WorkloadCertificate, nowMs: number): Promise<void> {
    const secrets = identitySecrets(certificate);
    for (const secret of secrets) this.store.put('secrets', { ...secret, version: certificate.serial, lastUpdatedMs: nowMs, origin: 'dynamic' });
    await this.workers.apply({ ...emptyUpdate, secrets: { set: secrets, removed: [] } });
  }

  /** Follows a control plane; resolves when its first clusters and listeners are served. */
  follow(client: Omit<AdsClientOptions, 'onUpdate' | 'onConnected' | 'onDisconnected'>, onState: (connected: boolean) => void): Promise<void> {
    return new Promise((resolve) => {
      this.#xds = new XdsSession({
        client, compiler: this.#options.compiler, store: this.store, apply: (update) => this.workers.apply(update), log: this.#options.log, now: () => Date.now(), onInitialized: resolve, onState,
      });
    });
  }

  get connected(): boolean {
    return this.#xds?.connected ?? false;
  }

  /** Lets requests finish, at most `deadlineMs`; the control plane is let go first. */
  async drain(deadlineMs: number): Promise<void> {
    await this.#xds?.stop();
    await this.workers.drain(deadlineMs);
  }

  async stop(): Promise<void> {
    await this.#xds?.stop();
    await this.workers.stop();
  }
}

function join(at: string, path: string): string {
  if (path === '') return at;
  return path.startsWith('[') ? `${at}${path}` : `${at}.${path}`;
}

import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { binaryToJson } from '@meltemi/api';
import { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { formatFieldErrors, withDeadline, type FieldError } from '@meltemi/base';
import type { IdentityAgent } from '@meltemi/identity-edge';
import { FlatStats } from '@meltemi/observe';
import { formatAddress, meltemiVersion, pinoLevel, runProgram, StartError, unixAddress, unixPath, type Address } from '@meltemi/observe-edge';
import { adminRoutes, ControlThread, meshNode, ModuleLoader, prometheus, proxyExtensions, readOverload, tidyMemory, type ReadBootstrap, type WorkerRefusal } from '@meltemi/proxy-edge';
import type { DnsServer } from '@meltemi/proxy-edge/dns';
import { bootstrapSources } from './config-sources.ts';
import { LateReports } from './late-reports.ts';
import { loadBootstrap } from './load-bootstrap.ts';
import { drainDefaults, options, ownAddress, programDrain, roleOf } from './options.ts';
import { workloadStart } from './workload-start.ts';
import { healthRoutes, nameTableRoute, startOwnServer } from './own-servers.ts';

let healthFailed = false;
/** A little more than Envoy's initial_fetch_timeout: how long a start waits for static listeners that wait for clusters. */
const firstConfigMs = 20_000;

await runProgram({
  name: 'meltemi-proxy',
  description: 'L4/L7 proxy: sidecar and gateway of a Meltemi mesh, or alone from an Envoy v3 bootstrap.',
  adminListen: false,
  options,
  start: async ({ options: given, given: isGiven, log, stats, readiness, lifecycle, shutdown }) => {
    const { values, env, drainTimeoutMs } = workloadStart(given, process.env);
    const end = drainTimeoutMs === undefined || isGiven('drain-timeout') ? {} : { drainTimeoutMs };
    const role = roleOf(values);
    const loaded = role === 'bootstrap' ? loadBootstrap(values) : undefined;
    const node = loaded ? nodeOfBootstrap(loaded) : nodeOfMesh();
    for (const warning of loaded?.warnings ?? []) log.warn({ field: warning.path, reason: warning.message }, 'setting not acted on');

    const flat = new FlatStats();
    const reports = new LateReports({ node, store: () => control.store, identity: () => agent, log });
    const control: ControlThread = new ControlThread({
      node, compiler: { extensions: proxyExtensions(), ...allowedModules() }, overload: overload(), concurrency: values.concurrency === 0 ? availableParallelism() : values.concurrency, drainTimeMs: (values['drain-time-s'] ?? drainDefaults[role].seconds) * 1000, drainStrategy: values['drain-strategy'] ?? drainDefaults[role].strategy, fileFlushMs: values['file-flush-interval-msec'], watchdog: loaded?.watchdog, localCluster: loaded?.localCluster,
      // The bundle has its worker beside it, a checkout its source.
      workerScript: new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url),
      metrics: stats, flat, log, onReports: (sink, entries) => reports.send(sink, entries),
    });
    const taken = control.loadStatic(loaded?.bootstrap.staticResources, Date.now());
    if (!taken.ok) throw cannotBeUsed(taken.error);
    const sources = loaded && await bootstrapSources(loaded, { node, control, log, values });
    if (values.mode === 'validate') {
      const problems = await control.validate(sources ?? null);
      if (problems.length > 0) throw cannotBeUsed(problems);
      process.stdout.write(`configuration '${loaded?.name ?? 'from pilot'}' OK\n`);
      return { done: Promise.resolve(0) };
    }

    // As in Envoy; without anybody who listens node would open its debugger.
    process.on('SIGUSR1', () => control.workers.tell({ kind: 'reopen-logs' }));
    const initialized = readiness.waitFor('the first configuration');
    let agent: IdentityAgent | undefined;
    let names: DnsServer | undefined;
    lifecycle.add('reports', () => reports.stop());
    const refusals = await control.start({ hold: sources !== undefined });
    lifecycle.add('workers', () => control.stop());
    checkRefusals(refusals);
    if (values.mode === 'init_only') {
      await startFollowing();
      return { done: Promise.resolve(0), ...end };
    }

    const ports = await startOwnPorts();
    await startNames(ports);
    await startFollowing();
    const { listeners } = await control.workers.describe();
    for (const listener of listeners) ports[listener.name] = listener.port;
    tidyMemory();
    return { ports, ...end, drain: (deadlineMs) => control.drain(programDrain(values, deadlineMs)) };

    function cannotBeUsed(problems: readonly FieldError[]): StartError {
      return new StartError(`${loaded?.name ?? ''} cannot be used:\n${problems.map((problem) => `  ${formatFieldErrors([problem])}`).join('\n')}`);
    }

    function checkRefusals([failed]: readonly WorkerRefusal[]): void {
      if (failed) throw new StartError(`${failed.kind.replace(/s$/, '')} ${failed.name}: ${failed.message}`);
    }

    async function startFollowing(): Promise<void> {
      if (role === 'mesh') await startMesh();
      else await startBootstrap();
    }

    function overload() {
      const compiled = readOverload(loaded?.bootstrap ?? {});
      if (!compiled.ok) throw cannotBeUsed(compiled.error);
      for (const warning of compiled.value.warnings) log.warn({ field: warning.path, reason: warning.message }, 'setting not acted on');
      return compiled.value.config;
    }

    function allowedModules(): { modules?: ModuleLoader } {
      if (values['allow-filters-from'].length === 0) return {};
      const loader = ModuleLoader.of(values['allow-filters-from']);
      if (!loader.ok) throw new StartError(`--allow-filters-from: ${formatFieldErrors(loader.error)}`, { exitCode: 2 });
      return { modules: loader.value };
    }

    function nodeOfMesh(): Node {
      const made = meshNode({ serviceNode: values['service-node'] ?? '', serviceCluster: values['service-cluster'] ?? '', serviceZone: values['service-zone'] ?? '', env, version: meltemiVersion });
      if (!made.ok) throw new StartError(formatFieldErrors(made.error), { exitCode: 2 });
      return made.value;
    }

    function nodeOfBootstrap({ bootstrap }: ReadBootstrap): Node {
      const empty: Node = { id: '', cluster: '', dynamicParameters: {}, userAgentName: 'meltemi-proxy', extensions: [], clientFeatures: [], listeningAddresses: [] };
      const written = bootstrap.node ?? empty;
      const zone = values['service-zone'];
      return {
        ...written, id: values['service-node'] ?? written.id, cluster: values['service-cluster'] ?? written.cluster, userAgentName: 'meltemi-proxy',
        ...(zone === undefined ? {} : { locality: { region: '', subZone: '', ...written.locality, zone } }),
      };
    }

    async function startMesh(): Promise<void> {
      // Loaded here, so that a proxy without a mesh does without all of gRPC and the certificates' code.
      const { followMesh } = await import('./follow-mesh.ts');
      const { startReadiness } = await import('./own-readiness.ts');
      const health = startReadiness({ node, log, lifecycle, proxyReason: () => (isReady() ? undefined : `the proxy is not ready: ${readiness.describe()}`) });
      await followMesh({ values, node, control, log, readiness, lifecycle, initialized, onAgent: (started) => (agent = started), takeNames: names && ((table) => names?.take(table)), health });
    }

    async function startNames(bound: Record<string, number>): Promise<void> {
      if (role !== 'mesh') return;
      const { startDns } = await import('./own-dns.ts');
      const started = await startDns({ values, node, stats, log, readiness, lifecycle });
      if (started) bound['dns'] = started.port;
      names = started?.server;
    }

    /** Static listeners listen once clusters have what they need; what comes late, comes late. */
    async function startBootstrap(): Promise<void> {
      if (!sources) return initialized();
      const following = control.follow(sources);
      if (!following.ok) throw cannotBeUsed(following.error);
      void following.value.initialized.then(initialized);
      const inTime = withDeadline(following.value.staticListeners, firstConfigMs, 'waiting for the first clusters');
      checkRefusals(await inTime.catch(() => {
        void following.value.staticListeners.then(([late]) => { if (late) log.error({ ...late }, 'a static listener cannot listen'); }, (cause: unknown) => log.error({ err: cause }, 'static listeners are not in force'));
        return [];
      }));
    }

    async function startOwnPorts(): Promise<Record<string, number>> {
      const admin = adminAddress();
      const bound: Record<string, number> = {};
      if (admin) {
        const socket = unixPath(admin);
        const port = await startOwnServer({ name: 'admin', flag: socket === undefined ? 'admin-port' : 'admin-socket', address: admin, routes: adminPages() }, lifecycle);
        if (socket === undefined) bound['admin'] = port;
        if (values['admin-address-path'] !== undefined) writeFileSync(values['admin-address-path'], socket ?? formatAddress({ host: admin.host, port }));
      }
      if (role === 'mesh') {
        const host = ownAddress(values);
        bound['health'] = await startOwnServer({ name: 'health', flag: 'health-port', address: { host, port: values['health-port'] }, routes: healthRoutes(isReady) }, lifecycle);
        const page = { method: 'GET' as const, path: '/stats/prometheus', description: 'metrics', handle: () => prometheus({ refreshStats: () => control.workers.refreshStats(), metrics: stats, flat }) };
        bound['prometheus'] = await startOwnServer({ name: 'prometheus', flag: 'prometheus-port', address: { host, port: values['prometheus-port'] }, routes: [page, { ...page, path: '/metrics' }] }, lifecycle);
      }
      return bound;
    }

    function adminAddress(): Address | undefined {
      const socket = values['admin-socket'];
      if (socket !== undefined) return unixAddress(resolve(socket));
      if (role === 'mesh') return { host: ownAddress(values), port: values['admin-port'] };
      const address = loaded?.bootstrap.admin?.address?.address;
      if (address?.$case === 'pipe') return unixAddress(resolve(address.value.path));
      if (address?.$case !== 'socketAddress') return undefined;
      const { address: host, portSpecifier } = address.value;
      return { host, port: portSpecifier?.$case === 'portValue' ? portSpecifier.value : 0 };
    }

    function isReady(): boolean {
      return readiness.ready && !healthFailed;
    }

    function adminPages() {
      let level = values['log-level'] as string;
      const startedAt = Date.now();
      return [...adminRoutes({
        store: control.store, metrics: stats, flat,
        bootstrapJson: () => (loaded ? binaryToJson('envoy.config.bootstrap.v3.Bootstrap', Bootstrap.encode(loaded.bootstrap).finish()) : undefined),
        certificate: () => agent?.current(), certificateFailure: () => agent?.lastFailure(), waitingFor: () => readiness.describe(),
        refreshStats: () => control.workers.refreshStats(),
        describe: () => control.workers.describe(),
        state: () => (readiness.ready ? 'LIVE' : readiness.describe() === 'draining' ? 'DRAINING' : 'PRE_INITIALIZING'),
        serverInfo: () => ({
          version: meltemiVersion, state: readiness.ready ? 'LIVE' : readiness.describe() === 'draining' ? 'DRAINING' : 'PRE_INITIALIZING',
          uptime_current_epoch: `${Math.round((Date.now() - startedAt) / 1000)}s`, uptime_all_epochs: `${Math.round((Date.now() - startedAt) / 1000)}s`, hot_restart_version: 'disabled',
          command_line_options: Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined).map(([name, value]) => [name.replaceAll('-', '_'), value])),
          node: nodeJson(node),
        }),
        logLevel: () => level,
        setLogLevel: (next) => {
          level = next;
          log.level = pinoLevel(next);
          control.workers.tell({ kind: 'log-level', level: next });
        },
        reopenLogs: () => control.workers.tell({ kind: 'reopen-logs' }),
        drainListeners: (request) => control.workers.tell({ kind: 'drain-listeners', request, startedMs: Date.now() }),
        failHealthCheck: (failing) => {
          healthFailed = failing;
          control.workers.failHealthChecks(failing);
        },
        quit: () => shutdown('/quitquitquit'),
      }), nameTableRoute(() => names?.table), ...healthRoutes(isReady)];
    }
  },
});

/** The node as /server_info shows it. */
function nodeJson({ id, cluster, metadata, locality, userAgentName }: Node): unknown {
  return {
    id, cluster, metadata: metadata ?? {}, user_agent_name: userAgentName,
    ...(locality ? { locality: { region: locality.region, zone: locality.zone, sub_zone: locality.subZone } } : {}),
  };
}

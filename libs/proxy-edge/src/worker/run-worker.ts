import { parentPort, workerData } from 'node:worker_threads';
import { withDeadline } from '@meltemi/base';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { AtomicRows, AtomicState, LocalRows, type Host, type SharedRows } from '@meltemi/proxy';
import { healthFlags, type HealthFlag, type HostDescription, type FromWorker, type ToWorker, type WorkerDescription, type WorkerSetup } from '../control/worker-messages.ts';
import { beat } from '../control/watchdog.ts';
import { keepRunningAfterModules } from '../modules/stray-errors.ts';
import { createWorkerServer, type WorkerServer } from '../server/worker-server.ts';
import { tidyMemory } from '../tidy-memory.ts';
import { AccessLogWriters } from './access-log-writers.ts';
import { applyUpdate } from './apply-update.ts';
import { proxyExtensions } from './extensions.ts';
import { FileSinks } from './file-sinks.ts';

/** Longest wait for a slow disk at the end. */
const lastLinesMs = 800;

/** The body of a worker thread: serves traffic, and does what the control thread says. */
export async function runWorker(): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('this file runs as a worker thread of meltemi-proxy');
  const setup = workerData as WorkerSetup;
  const send = (message: FromWorker) => port.postMessage(message);
  const log = (level: 'info' | 'warn' | 'error') => (fields: object, message: string) => send({ kind: 'log', level, fields: plain(fields), message });
  const logger = { info: log('info'), warn: log('warn'), error: log('error') };
  keepRunningAfterModules(logger);
  const stats = new FlatStats();
  const metrics = new StatsRegistry();
  const files = new FileSinks(setup.fileFlushMs, (path, error) => logger.error({ path, reason: error.message }, 'access log cannot be written'));
  const writers = new AccessLogWriters({
    files,
    post: (sink, entries) => send({ kind: 'reports', sink, entries }),
  });
  const server = createWorkerServer({
    node: setup.node, stats, metrics, log: logger, reusePort: setup.concurrency > 1, shared: new AtomicState(setup.shared, sharedRows(setup)), drainTimeMs: setup.drainTimeMs, drainStrategy: setup.drainStrategy, workerIndex: setup.index, overload: { config: setup.overload, connections: setup.connections, index: setup.index }, openAccessLog: (accessLog) => writers.open(accessLog),
  });
  beat(setup.beats, setup.beatEveryMs);
  const extensions = proxyExtensions();
  port.on('message', (message: ToWorker) => {
    switch (message.kind) {
      case 'apply':
        return void applyUpdate(server, extensions, message.update).then((refusals) => send({ kind: 'applied', id: message.id, refusals }));
      case 'stats':
        server.clusters.publish();
        return send({ kind: 'stats', id: message.id, metrics: metrics.takeDelta(), flat: stats.takeDelta() });
      case 'describe':
        return send({ kind: 'described', id: message.id, description: describe(server) });
      case 'drain-listeners':
        return server.drainListeners(message.request, Math.max(0, Date.now() - message.startedMs));
      case 'drain':
        return void server.drain(message.drain)
          .then(() => withDeadline(writers.written(), lastLinesMs, 'writing the last log lines'))
          .catch((cause: unknown) => logger.error({ err: cause }, 'the end of the access logs may be missing'))
          .finally(() => send({ kind: 'drained' }));
      case 'reopen-logs':
        return files.reopen();
      case 'log-level':
        return undefined;
    }
  });
  const refusals = await applyUpdate(server, extensions, setup.state);
  tidyMemory();
  send({ kind: 'ready', refusals });
}

/** Threads begin to count their time when they start; the system's clock is the same in all. */
function sharedRows({ rows, concurrency, index }: WorkerSetup): SharedRows {
  if (rows === null) return new LocalRows();
  return new AtomicRows(rows, { workers: concurrency, worker: index, offsetMs: Number(process.hrtime.bigint() / 1_000_000n) - performance.now() });
}

function describe(server: WorkerServer): WorkerDescription {
  const listeners = server.listeners().flatMap(({ name, bound }) => bound.map((target) => (target.kind === 'ip' ? { name, address: target.address, port: target.port } : { name, address: target.path, port: 0 })));
  const hosts: HostDescription[] = [];
  for (const entry of server.clusters.entries())
    for (const host of entry.hosts) {
      const { endpoint } = host;
      const target = endpoint.target;
      hosts.push({
        cluster: entry.name, address: target.kind === 'ip' ? target.address : target.path, port: target.kind === 'ip' ? target.port : 0, hostname: endpoint.hostname, weight: host.weight, priority: host.priority,
        edsHealth: endpoint.health, flags: flagsOf(host, entry.isLeaving(host)), activeRequests: host.state.activeRequests, activeConnections: host.state.connections, requests: host.state.requests,
      });
    }
  return { listeners, hosts };
}

function flagsOf({ endpoint, state }: Host, leaving: boolean): HealthFlag[] {
  const set: Record<HealthFlag, boolean> = {
    failed_active_hc: state.failedHealthCheck, failed_outlier_check: state.ejected, failed_eds_health: endpoint.health === 'unhealthy', degraded_active_hc: state.degradedHealthCheck,
    degraded_eds_health: endpoint.health === 'degraded', pending_dynamic_removal: leaving, pending_active_hc: state.excluded === 'pending', excluded_via_immediate_hc_fail: state.excluded === 'asked',
  };
  return healthFlags.filter((flag) => set[flag]);
}

/** Errors do not survive being posted with all their fields; their text does. */
function plain(fields: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, value instanceof Error ? { message: value.message, stack: value.stack } : typeof value === 'function' ? String(value) : value]));
}

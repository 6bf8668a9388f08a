import { ok, type Result } from '@meltemi/base';
import { compileSearch } from '@meltemi/match';
import { expositionContentType, expositionText, type FlatStats, type StatsRegistry } from '@meltemi/observe';
import { jsonResponse, logLevels, type AdminRequest, type AdminResponse, type AdminRoute } from '@meltemi/observe-edge';
import type { WorkloadCertificate } from '@meltemi/identity';
import type { ResourceStore } from '../control/resource-store.ts';
import type { WorkerDescription } from '../control/worker-messages.ts';
import type { DrainRequest } from '../server/listener-drains.ts';
import { certsPage } from './certs.ts';
import { clustersJson, clustersText } from './clusters-page.ts';
import { configDump } from './config-dump.ts';

/** What the admin pages show and do. */
export interface AdminParts {
  readonly store: ResourceStore;
  readonly metrics: StatsRegistry;
  readonly flat: FlatStats;
  readonly bootstrapJson: () => unknown;
  readonly certificate: () => WorkloadCertificate | undefined;
  /** What it waits for until it is ready, and why. */
  readonly waitingFor?: () => string;
  /** Why there is no newer one. */
  readonly certificateFailure?: () => string | undefined;
  /** Merges the workers' statistics first. */
  readonly refreshStats: () => Promise<void>;
  readonly describe: () => Promise<WorkerDescription>;
  readonly state: () => 'LIVE' | 'DRAINING' | 'PRE_INITIALIZING' | 'INITIALIZING';
  readonly serverInfo: () => unknown;
  readonly logLevel: () => string;
  readonly setLogLevel: (level: string) => void;
  readonly drainListeners: (request: DrainRequest) => void;
  readonly reopenLogs: () => void;
  readonly failHealthCheck: (failed: boolean) => void;
  readonly quit: () => void;
}

/** Envoy's admin paths. */
export function adminRoutes(parts: AdminParts): AdminRoute[] {
  const get = (path: string, description: string, handle: AdminRoute['handle']): AdminRoute => ({ method: 'GET', path, description, handle });
  const post = (path: string, description: string, handle: AdminRoute['handle']): AdminRoute => ({ method: 'POST', path, description, handle });
  return [
    get('/certs', 'certificates in use', () => jsonResponse(certsPage(parts.certificate(), parts.certificateFailure?.()))),
    get('/clusters', 'upstream hosts (?format=json)', async ({ query }) => {
      const { hosts } = await parts.describe();
      return query.get('format') === 'json' ? jsonResponse(clustersJson(parts.store, hosts)) : text(clustersText(parts.store, hosts));
    }),
    get('/config_dump', 'what is in force (?include_eds, ?name_regex=)', (request) => dump(parts, request)),
    get('/listeners', 'listening addresses (?format=json)', async ({ query }) => listeners(await parts.describe(), query)),
    get('/ready', 'LIVE, or why not', () => (parts.state() === 'LIVE' ? text('LIVE\n') : { ...text(`${parts.state()}\n${parts.waitingFor === undefined ? '' : `${parts.waitingFor()}\n`}`), status: 503 })),
    get('/server_info', 'version, state, command line', () => jsonResponse(parts.serverInfo())),
    get('/stats', 'statistics (?filter=regex, ?usedonly, ?format=json|prometheus)', (request) => stats(parts, request)),
    get('/stats/prometheus', 'statistics for Prometheus', () => prometheus(parts)),
    get('/memory', 'memory of this process', () => jsonResponse(memory())),
    get('/runtime', 'runtime layers: none', () => jsonResponse({ layers: [], entries: {} })),
    get('/help', 'this list', () => text(adminHelp(parts))),
    post('/logging', 'set the log level (?level=debug)', ({ query }) => logging(parts, query)),
    post('/drain_listeners', 'ask clients to leave and stop accepting (?inboundonly, ?graceful: after the drain time, &skip_exit: never)', ({ query }) => drainListeners(parts, query)),
    post('/reopen_logs', 'open access logs anew, after files were moved away', () => (parts.reopenLogs(), text('OK\n'))),
    post('/healthcheck/fail', 'answer health checks with failure', () => (parts.failHealthCheck(true), text('OK\n'))),
    post('/healthcheck/ok', 'undo /healthcheck/fail', () => (parts.failHealthCheck(false), text('OK\n'))),
    post('/reset_counters', 'set all counters to zero', async () => {
      // What the workers counted until now goes too.
      await parts.refreshStats();
      parts.flat.resetCounters();
      return text('OK\n');
    }),
    post('/quitquitquit', 'drain and exit', () => (parts.quit(), text('OK\n'))),
  ];
}

/** The Prometheus page: the istio_* and process metrics, and Envoy's own as envoy_<name>. */
export async function prometheus(parts: Pick<AdminParts, 'refreshStats' | 'metrics' | 'flat'>): Promise<AdminResponse> {
  await parts.refreshStats();
  return { contentType: expositionContentType.prometheus, body: `${expositionText(parts.metrics, 'prometheus')}${flatExposition(parts.flat)}` };
}

function dump(parts: AdminParts, { query }: AdminRequest): AdminResponse {
  const named = searched(query.get('name_regex'));
  if (!named.ok) return { ...text(`name_regex: ${named.error}\n`), status: 400 };
  return jsonResponse(configDump(parts.store, parts.bootstrapJson(), { includeEds: query.has('include_eds'), ...(named.value === null ? {} : { nameRegex: named.value }) }));
}

/** As Envoy's, patterns are RE2's: what a request says keeps the control thread from nothing. */
function searched(pattern: string | null): Result<Pick<RegExp, 'test'> | null, string> {
  return pattern === null ? ok(null) : compileSearch(pattern);
}

function listeners({ listeners: bound }: WorkerDescription, query: URLSearchParams): AdminResponse {
  if (query.get('format') !== 'json') return text(bound.map((each) => `${each.name}::${each.address}:${each.port}\n`).join(''));
  return jsonResponse({ listener_statuses: bound.map((each) => ({ name: each.name, local_address: { socket_address: { address: each.address, port_value: each.port } } })) });
}

async function stats(parts: AdminParts, { query }: AdminRequest): Promise<AdminResponse> {
  const format = query.get('format');
  if (format === 'prometheus') return prometheus(parts);
  await parts.refreshStats();
  const filter = searched(query.get('filter'));
  if (!filter.ok) return { ...text(`filter: ${filter.error}\n`), status: 400 };
  const entries = parts.flat.entries({ ...(filter.value ? { filter: filter.value } : {}), usedOnly: query.has('usedonly') });
  if (format === 'json') return jsonResponse({ stats: entries.map(({ name, value }) => ({ name, value })) });
  return text(entries.map(({ name, value }) => `${name}: ${value}\n`).join(''));
}

function drainListeners(parts: AdminParts, query: URLSearchParams): AdminResponse {
  const request = { inboundOnly: query.has('inboundonly'), graceful: query.has('graceful'), skipExit: query.has('skip_exit') };
  if (request.skipExit && !request.graceful) return { ...text('skip_exit requires graceful\n'), status: 400 };
  parts.drainListeners(request);
  return text('OK\n');
}

function logging(parts: AdminParts, query: URLSearchParams): AdminResponse {
  const level = query.get('level') ?? [...query.values()][0];
  if (level === undefined) return text(`active loggers:\n  all: ${parts.logLevel()}\n`);
  if (!(logLevels as readonly string[]).includes(level)) return { ...text(`usage: /logging?level=${logLevels.join('|')}\n`), status: 400 };
  parts.setLogLevel(level);
  return text(`active loggers:\n  all: ${level}\n`);
}

function adminHelp(parts: AdminParts): string {
  return `admin commands are:\n${adminRoutes(parts).map((route) => `  ${route.path}${route.method === 'POST' ? ' (POST)' : ''}: ${route.description}\n`).sort().join('')}`;
}

function memory(): unknown {
  const { rss, heapTotal, heapUsed, external } = process.memoryUsage();
  return { allocated: String(heapUsed + external), heap_size: String(heapTotal), total_physical_bytes: String(rss) };
}

/** Envoy's exposition of its own statistics: dots and the like become underscores, under one prefix. */
function flatExposition(flat: FlatStats): string {
  const seen = new Set<string>();
  let out = '';
  for (const { name, kind, value } of flat.entries({ usedOnly: true })) {
    const cluster = /^cluster\.(.+)\.([a-z0-9_]+)$/.exec(name);
    const metric = `envoy_${(cluster ? `cluster_${cluster[2]}` : name).replace(/[^a-zA-Z0-9_]/g, '_')}`;
    if (!seen.has(metric)) out += `# TYPE ${metric} ${kind}\n`;
    seen.add(metric);
    out += `${metric}${cluster ? `{cluster_name="${(cluster[1] ?? '').replace(/[\\"\n]/g, '_')}"}` : ''} ${value}\n`;
  }
  return out;
}

function text(body: string): AdminResponse {
  return { body, contentType: 'text/plain; charset=UTF-8' };
}

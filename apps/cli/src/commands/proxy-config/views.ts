import { columns } from '../../output.ts';

/** One row: the resource as JSON, and the facts that filters and the table use. */
export interface Entry {
  readonly value: unknown;
  readonly facts: Readonly<Record<string, string>>;
}

/** One sub-command of proxy-config. */
export interface View {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly description: string;
  /** Admin page, as JSON. */
  readonly path: string;
  readonly filters: readonly (readonly [flag: string, description: string])[];
  entries(page: unknown): Entry[];
  table(entries: readonly Entry[]): string;
}

export const listenerView: View = {
  name: 'listener', aliases: ['listeners', 'l'], description: 'listeners and where they send what they accept', path: '/config_dump',
  filters: [['name', 'listener name'], ['address', 'address'], ['port', 'port']],
  entries: (page) => [...dumps(page, 'ListenersConfigDump', 'static_listeners').map((item) => get(item, 'listener')), ...dumps(page, 'ListenersConfigDump', 'dynamic_listeners').map((item) => get(get(item, 'active_state'), 'listener'))].filter(isPresent).map((listener) => {
    const socket = get(get(listener, 'address'), 'socket_address');
    return { value: listener, facts: { name: text(listener, 'name'), address: text(socket, 'address'), port: text(socket, 'port_value'), match: chains(listener) } };
  }),
  table: (entries) => columns(['NAME', 'ADDRESS', 'PORT', 'DESTINATION'], sortBy(entries, 'port').map(({ facts }) => row(facts, 'name', 'address', 'port', 'match'))),
};

export const routeView: View = {
  name: 'route', aliases: ['routes', 'r'], description: 'route tables: virtual hosts, matches and destinations', path: '/config_dump',
  filters: [['name', 'route configuration']],
  entries: (page) => [...dumps(page, 'RoutesConfigDump', 'static_route_configs'), ...dumps(page, 'RoutesConfigDump', 'dynamic_route_configs')].map((item) => get(item, 'route_config')).filter(isPresent).map((config) => ({ value: config, facts: { name: text(config, 'name') } })),
  table: (entries) => columns(['NAME', 'VHOST NAME', 'DOMAINS', 'MATCH', 'DESTINATION'], sortBy(entries, 'name').flatMap(({ value, facts }) => list(value, 'virtual_hosts').flatMap((host) => list(host, 'routes').map((route) => [facts['name'] ?? '', text(host, 'name'), domains(host), routeMatch(route), destination(route)])))),
};

export const clusterView: View = {
  name: 'cluster', aliases: ['clusters', 'c'], description: 'clusters', path: '/config_dump',
  filters: [['fqdn', 'service host'], ['port', 'port'], ['subset', 'subset'], ['direction', 'inbound or outbound']],
  entries: (page) => [...dumps(page, 'ClustersConfigDump', 'static_clusters'), ...dumps(page, 'ClustersConfigDump', 'dynamic_active_clusters')].map((item) => get(item, 'cluster')).filter(isPresent).map((cluster) => {
    const parts = text(cluster, 'name').split('|');
    const named = parts.length === 4;
    return { value: cluster, facts: { fqdn: named ? (parts[3] ?? '') : text(cluster, 'name'), port: named ? (parts[1] ?? '') : '-', subset: (named && parts[2]) || '-', direction: named ? (parts[0] ?? '') : '-', type: text(cluster, 'type') || 'STATIC' } };
  }),
  table: (entries) => columns(['SERVICE FQDN', 'PORT', 'SUBSET', 'DIRECTION', 'TYPE'], sortBy(entries, 'fqdn').map(({ facts }) => row(facts, 'fqdn', 'port', 'subset', 'direction', 'type'))),
};

export const endpointView: View = {
  name: 'endpoint', aliases: ['endpoints', 'ep'], description: 'endpoints with their health', path: '/clusters?format=json',
  filters: [['cluster', 'cluster name'], ['address', 'address'], ['port', 'port'], ['status', 'healthy or unhealthy']],
  entries: (page) => list(page, 'cluster_statuses').flatMap((cluster) => list(cluster, 'host_statuses').map((host) => {
    const socket = get(get(host, 'address'), 'socket_address');
    const healthy = ['HEALTHY', 'UNKNOWN', ''].includes(text(get(host, 'health_status'), 'eds_health_status'));
    const ejected = get(get(host, 'health_status'), 'failed_outlier_check') === true;
    return { value: { cluster: text(cluster, 'name'), ...(host as object) }, facts: { address: text(socket, 'address') || text(get(get(host, 'address'), 'pipe'), 'path'), port: text(socket, 'port_value'), cluster: text(cluster, 'name'), status: healthy ? 'HEALTHY' : 'UNHEALTHY', outlier: ejected ? 'FAILED' : 'OK' } };
  })),
  table: (entries) => columns(['ENDPOINT', 'STATUS', 'OUTLIER CHECK', 'CLUSTER'], sortBy(entries, 'cluster').map(({ facts }) => [`${facts['address']}:${facts['port']}`, facts['status'] ?? '', facts['outlier'] ?? '', facts['cluster'] ?? ''])),
};

export const secretView: View = {
  name: 'secret', aliases: ['secrets', 's'], description: 'certificates and trust roots (never keys)', path: '/certs',
  filters: [],
  entries: (page) => list(page, 'certificates').flatMap((pair) => [...list(pair, 'cert_chain').map((cert) => certificate('Cert Chain', cert)), ...list(pair, 'ca_cert').map((cert) => certificate('CA', cert))]),
  table: (entries) => columns(['TYPE', 'IDENTITY', 'SERIAL NUMBER', 'NOT AFTER', 'NOT BEFORE'], entries.map(({ facts }) => row(facts, 'type', 'identity', 'serial', 'notAfter', 'notBefore'))),
};

function certificate(type: string, cert: unknown): Entry {
  const names = list(cert, 'subject_alt_names').map((name) => text(name, 'uri') || text(name, 'dns')).filter((name) => name !== '');
  return { value: cert, facts: { type, identity: names.join(', ') || '-', serial: text(cert, 'serial_number'), notAfter: text(cert, 'expiration_time'), notBefore: text(cert, 'valid_from') } };
}

function chains(listener: unknown): string {
  const said = new Set(list(listener, 'filter_chains').map((chain) => {
    const filter = list(chain, 'filters').at(-1);
    const config = get(filter, 'typed_config');
    const tls = get(chain, 'transport_socket') === undefined ? '' : ' (TLS)';
    const route = text(get(config, 'rds'), 'route_config_name') || text(get(config, 'route_config'), 'name');
    if (route !== '') return `Route: ${route}${tls}`;
    const cluster = text(config, 'cluster') || list(get(config, 'weighted_clusters'), 'clusters').map((each) => `${text(each, 'name')} (${text(each, 'weight')})`).join(', ');
    return cluster === '' ? '-' : `Cluster: ${cluster}${tls}`;
  }));
  return [...said].join(' | ');
}

function domains(host: unknown): string {
  const all = list(host, 'domains').map(String);
  return all.length > 2 ? `${all.slice(0, 2).join(', ')} + ${all.length - 2} more` : all.join(', ');
}

function routeMatch(route: unknown): string {
  const match = get(route, 'match');
  const path = text(match, 'path') || (text(match, 'prefix') === '' ? text(get(match, 'safe_regex'), 'regex') || text(match, 'path_separated_prefix') : `${text(match, 'prefix')}*`);
  const headers = list(match, 'headers').map((header) => text(header, 'name'));
  return `${path || '/*'}${headers.length > 0 ? ` [${headers.join(', ')}]` : ''}`;
}

function destination(route: unknown): string {
  const action = get(route, 'route');
  const cluster = text(action, 'cluster');
  if (cluster !== '') return cluster;
  const weighted = list(get(action, 'weighted_clusters'), 'clusters').map((each) => `${text(each, 'name')} (${text(each, 'weight') || '0'})`);
  if (weighted.length > 0) return weighted.join(', ');
  if (get(route, 'redirect') !== undefined) return 'redirect';
  return get(route, 'direct_response') === undefined ? '-' : `direct response ${text(get(route, 'direct_response'), 'status')}`;
}

/** The items of one field over all dumps of a type ("…/envoy.admin.v3.ClustersConfigDump"). */
function dumps(page: unknown, type: string, field: string): unknown[] {
  return list(page, 'configs').filter((config) => text(config, '@type').endsWith(type)).flatMap((config) => list(config, field));
}

function get(value: unknown, field: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>)[field] : undefined;
}

function list(value: unknown, field: string): unknown[] {
  const found = get(value, field);
  return Array.isArray(found) ? found : [];
}

function text(value: unknown, field: string): string {
  const found = get(value, field);
  return typeof found === 'string' || typeof found === 'number' || typeof found === 'boolean' ? String(found) : '';
}

function row(facts: Readonly<Record<string, string>>, ...names: readonly string[]): string[] {
  return names.map((name) => facts[name] ?? '');
}

function sortBy(entries: readonly Entry[], fact: string): Entry[] {
  return [...entries].sort((a, b) => (a.facts[fact] ?? '').localeCompare(b.facts[fact] ?? '', 'en', { numeric: true }));
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null;
}

import { binaryToJson } from '@meltemi/api';
import type { HeldResource, RefusedResource, ResourceStore } from '../control/resource-store.ts';
import type { ResourceKind } from '../control/worker-messages.ts';

const typeNames: Readonly<Record<ResourceKind, string>> = {
  clusters: 'envoy.config.cluster.v3.Cluster',
  endpoints: 'envoy.config.endpoint.v3.ClusterLoadAssignment',
  listeners: 'envoy.config.listener.v3.Listener',
  routes: 'envoy.config.route.v3.RouteConfiguration',
  scopes: 'envoy.config.route.v3.ScopedRouteConfiguration',
  secrets: 'envoy.extensions.transport_sockets.tls.v3.Secret',
  extensions: 'envoy.config.core.v3.TypedExtensionConfig',
};

export interface ConfigDumpOptions {
  readonly includeEds: boolean;
  /** Only resources whose name it matches. */
  readonly nameRegex?: Pick<RegExp, 'test'>;
}

/** Envoy's /config_dump as JSON: bootstrap, clusters, endpoints when asked, listeners, routes, secrets (without keys). */
export function configDump(store: ResourceStore, bootstrap: unknown, options: ConfigDumpOptions): unknown {
  const keep = (resource: { name: string }) => options.nameRegex?.test(resource.name) ?? true;
  const of = (kind: ResourceKind, origin: HeldResource['origin']) => store.held(kind).filter((resource) => resource.origin === origin && keep(resource));
  const item = (kind: ResourceKind, field: string, resource: HeldResource) => ({ ...versioned(resource), [field]: resourceJson(kind, resource), last_updated: date(resource.lastUpdatedMs) });
  const all = (kind: ResourceKind, field: string) => of(kind, 'static').map((resource) => item(kind, field, resource));
  const dynamic = (kind: ResourceKind, field: string) => {
    const refused = store.refused(kind);
    const neverGood = [...refused].filter(([name]) => !store.get(kind, name) && keep({ name }));
    return [
      ...of(kind, 'dynamic').map((resource) => ({ ...item(kind, field, resource), ...errorState(refused.get(resource.name)) })),
      ...neverGood.map(([name, refusal]) => ({ [field]: typed(kind, { [kind === 'endpoints' ? 'cluster_name' : 'name']: name }), ...errorState(refusal) })),
    ];
  };
  return {
    configs: [
      ...(bootstrap === undefined ? [] : [{ '@type': 'type.googleapis.com/envoy.admin.v3.BootstrapConfigDump', bootstrap: redacted(bootstrap) }]),
      { '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump', version_info: version(store, 'clusters'), static_clusters: all('clusters', 'cluster'), dynamic_active_clusters: dynamic('clusters', 'cluster') },
      ...(options.includeEds ? [{ '@type': 'type.googleapis.com/envoy.admin.v3.EndpointsConfigDump', static_endpoint_configs: inlineEndpoints(store, keep), dynamic_endpoint_configs: dynamic('endpoints', 'endpoint_config') }] : []),
      { '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump', version_info: version(store, 'listeners'), static_listeners: all('listeners', 'listener'), dynamic_listeners: dynamicListeners(store, keep) },
      { '@type': 'type.googleapis.com/envoy.admin.v3.RoutesConfigDump', static_route_configs: inlineRoutes(store, keep), dynamic_route_configs: dynamic('routes', 'route_config') },
      ...(store.held('scopes').length + store.refused('scopes').size === 0 ? [] : [scopes(store, keep)]),
      ...(store.held('extensions').length + store.refused('extensions').size === 0 ? [] : [{ '@type': 'type.googleapis.com/envoy.admin.v3.EcdsConfigDump', ecds_filters: dynamic('extensions', 'ecds_filter') }]),
      { '@type': 'type.googleapis.com/envoy.admin.v3.SecretsConfigDump', static_secrets: secrets(of('secrets', 'static')), dynamic_active_secrets: secrets(of('secrets', 'dynamic'), store.refused('secrets')) },
    ],
  };
}

/** Endpoints that clusters hold themselves. */
function inlineEndpoints(store: ResourceStore, keep: (resource: { name: string }) => boolean): unknown[] {
  return store.held('clusters').filter(keep).flatMap((resource) => {
    const assignment = (resourceJson('clusters', resource) as Json)['load_assignment'];
    return assignment === undefined ? [] : [{ endpoint_config: typed('endpoints', assignment), last_updated: date(resource.lastUpdatedMs) }];
  });
}

/** Route configurations that connection managers hold themselves. */
function inlineRoutes(store: ResourceStore, keep: (resource: { name: string }) => boolean): unknown[] {
  return store.held('listeners').flatMap((resource) => {
    const listener = resourceJson('listeners', resource) as Json;
    const chains = [...asList(listener['filter_chains']), ...asList(listener['default_filter_chain'] === undefined ? [] : [listener['default_filter_chain']])];
    const tables = chains.flatMap((chain) => asList(chain['filters'])).flatMap((filter) => asList([(filter['typed_config'] as Json | undefined)?.['route_config']]));
    return tables.filter((table) => keep({ name: typeof table['name'] === 'string' ? table['name'] : '' })).map((table) => ({ route_config: typed('routes', table), last_updated: date(resource.lastUpdatedMs) }));
  });
}

type Json = Readonly<Record<string, unknown>>;

function asList(value: unknown): Json[] {
  return Array.isArray(value) ? value.filter((each): each is Json => typeof each === 'object' && each !== null) : [];
}

function typed(kind: ResourceKind, value: unknown): unknown {
  return { '@type': `type.googleapis.com/${typeNames[kind]}`, ...(value as Json) };
}

/** One resource as Envoy's JSON, without keys. What cannot be expanded is shown with the reason, never left out. */
export function resourceJson(kind: ResourceKind, resource: Pick<HeldResource, 'name' | 'bytes'>): unknown {
  try {
    const json = redacted(binaryToJson(typeNames[kind], resource.bytes)) as Readonly<Record<string, unknown>>;
    return { '@type': `type.googleapis.com/${typeNames[kind]}`, ...json };
  } catch (cause) {
    return { '@type': `type.googleapis.com/${typeNames[kind]}`, name: resource.name, error: cause instanceof Error ? cause.message : String(cause) };
  }
}

function dynamicListeners(store: ResourceStore, keep: (resource: { name: string }) => boolean): unknown[] {
  const refused = store.refused('listeners');
  const active = store.held('listeners').filter((resource) => resource.origin === 'dynamic' && keep(resource)).map((resource) => ({
    name: resource.name,
    active_state: { ...versioned(resource), listener: resourceJson('listeners', resource), last_updated: date(resource.lastUpdatedMs) },
    ...errorState(refused.get(resource.name)),
  }));
  const neverGood = [...refused].filter(([name]) => !store.get('listeners', name) && keep({ name })).map(([name, refusal]) => ({ name, ...errorState(refusal) }));
  return [...active, ...neverGood];
}

/** One set of scopes serves every connection manager that follows them. */
function scopes(store: ResourceStore, keep: (resource: { name: string }) => boolean): unknown {
  const held = store.held('scopes').filter(keep);
  const [refusal] = store.refused('scopes').values();
  const last = Math.max(0, ...held.map(({ lastUpdatedMs }) => lastUpdatedMs));
  return {
    '@type': 'type.googleapis.com/envoy.admin.v3.ScopedRoutesConfigDump',
    dynamic_scoped_route_configs: [{ version_info: version(store, 'scopes'), scoped_route_configs: held.map((resource) => resourceJson('scopes', resource)), last_updated: date(last), ...errorState(refusal) }],
  };
}

function errorState(refusal: RefusedResource | undefined): object {
  return refusal ? { error_state: { ...(refusal.version && { version_info: refusal.version }), last_update_attempt: date(refusal.atMs), details: refusal.message } } : {};
}

function secrets(held: readonly HeldResource[], refused: ReadonlyMap<string, RefusedResource> = new Map()): unknown[] {
  return held.map((resource) => ({ name: resource.name, ...versioned(resource), last_updated: date(resource.lastUpdatedMs), secret: resourceJson('secrets', resource), ...errorState(refused.get(resource.name)) }));
}

/** What the messages mark as sensitive, wherever it stands: TLS contexts of listeners and clusters may hold keys inline. */
const sensitive = new Set(['private_key', 'password', 'pkcs12', 'session_ticket_keys', 'generic_secret']);

/** A private key never leaves its owner. */
function redacted<T>(value: T): T {
  if (Array.isArray(value)) return value.map(redacted) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, sensitive.has(key) ? { inline_string: '[redacted]' } : redacted(each)])) as T;
}

function versioned(resource: HeldResource): object {
  return resource.version === '' ? {} : { version_info: resource.version };
}

function version(store: ResourceStore, kind: ResourceKind): string {
  return store.held(kind).reduce((newest, each) => (each.origin === 'dynamic' && each.lastUpdatedMs >= newest.at ? { at: each.lastUpdatedMs, version: each.version } : newest), { at: -1, version: '' }).version;
}

function date(ms: number): string {
  return new Date(ms).toISOString();
}

import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { Listener as ListenerMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { formatFieldErrors, ok, type FieldError } from '@meltemi/base';
import { HeaderMap, RequestHead } from '@meltemi/http';
import { compileRouteTable, clusterOf, redirectLocation, type RouteMatch, type RouteTable } from '@meltemi/route';
import { compileListener, type ConnectionView, type Extension, type FilterChain, type HttpFilterExtension, type Listener } from '@meltemi/snapshot';
import { xdsType } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { translate } from '../translate/translate.ts';

/** A request in a few words: "POST http://reviews:9080/x"; GET and http when not said. */
export interface Call {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** The route table of that name, compiled as proxies do; undefined when the proxy has none. */
export function tableOf(push: PushContext, proxy: Proxy, name: string): RouteTable | undefined {
  const resource = translate(push, proxy, { typeUrl: xdsType.route, names: [name] }).resources.get(name);
  return resource && valueOf(name, compileRouteTable(RouteConfiguration.decode(resource.any.value)));
}

/** What the table makes of a call; `random` in [0, 1) decides weights. */
export function match(table: RouteTable | undefined, call: string | Call, random = 0): RouteMatch | null {
  return table?.match(headOf(call), random, null) ?? null;
}

/** Where a call goes, in words: "v1 of reviews:9080", "PassthroughCluster", "redirect …", "answer 404", "nowhere". */
export function whither(table: RouteTable | undefined, call: string | Call, random = 0): string {
  const action = match(table, call, random)?.action;
  if (!action) return 'nowhere';
  if (action.kind === 'redirect') return `redirect ${action.status} ${redirectLocation(action, headOf(call))}`;
  if (action.kind === 'direct') return `answer ${action.status}`;
  return action.kind === 'forward' ? clusterWords(clusterOf(action, headOf(call)) ?? '') : action.kind;
}

/** "outbound|9080|v1|reviews.default.svc.cluster.local" → "v1 of reviews:9080"; other names as they are, the namespace when it is not default. */
export function clusterWords(name: string): string {
  const [direction, port, subset = '', host = ''] = name.split('|');
  if (direction !== 'outbound') return name;
  const short = host.replace(/\.svc\.cluster\.local$/, '').replace(/\.default$/, '');
  return `${subset === '' ? '' : `${subset} of `}${short}:${port}`;
}

export function headOf(call: string | Call): RequestHead {
  const { url, headers = {} } = typeof call === 'string' ? { url: call } : call;
  const parsed = /^(?:([A-Z]+) )?(https?):\/\/([^/]*)(.*)$/.exec(url);
  if (!parsed) throw new Error(`not a call: ${url}`);
  const [, method = 'GET', scheme = 'http', authority = '', path = ''] = parsed;
  const head = new RequestHead(method, path === '' ? '/' : path, authority, HeaderMap.from(headers));
  head.scheme = scheme;
  return head;
}

const lenient: Extension = { parse: () => ok(null) };

/** Takes any filter that pilot may write: what is in them is for others to test. */
const anyFilter = (terminal: RegExp): ReadonlyMap<string, HttpFilterExtension> =>
  Object.assign(new Map<string, HttpFilterExtension>(), { get: (url: string): HttpFilterExtension => ({ ...lenient, terminal: terminal.test(url) }) });

const extensions = { networkFilters: anyFilter(/^$/), httpFilters: anyFilter(/Router$/), listenerFilters: anyFilter(/^$/), accessLoggers: anyFilter(/^$/), http2: true, autoTlsNames: true, proxyProtocol: true };

/** The proxy's listeners by name, compiled as our proxy does: one that it would refuse throws. */
export function listenersOf(push: PushContext, proxy: Proxy): ReadonlyMap<string, Listener> {
  const { resources } = translate(push, proxy, { typeUrl: xdsType.listener });
  return new Map([...resources].map(([name, { any }]) => [name, valueOf(name, compileListener(ListenerMessage.decode(any.value), extensions)).value]));
}

/** A connection: defaults are plaintext bytes from 10.9.9.9. */
export type Connection = Partial<ConnectionView> & { readonly destinationIp: string; readonly destinationPort: number };

/** Where a connection to a listener goes: a cluster in words, several with their weights, "routes NAME", or "closed" when no chain takes it. */
export function connected(listener: Listener | undefined, connection: Connection): string {
  const chain = chainOf(listener, connection);
  const filter = chain?.networkFilters.at(-1);
  if (!chain || !filter) return 'closed';
  if (filter.kind === 'http_connection_manager') return `routes ${filter.config.routes.kind === 'rds' ? filter.config.routes.name : 'inline'}`;
  if (filter.kind !== 'tcp_proxy') return filter.kind;
  const { clusters } = filter.config;
  return clusters.map(({ cluster, upTo }, i) => (clusters.length === 1 ? clusterWords(cluster) : `${upTo - (clusters[i - 1]?.upTo ?? 0)} ${clusterWords(cluster)}`)).join(', ');
}

export function chainOf(listener: Listener | undefined, connection: Connection): FilterChain | undefined {
  const sniffed = { serverName: '', transportProtocol: 'raw_buffer', applicationProtocols: [], directSourceIp: '10.9.9.9', sourceIp: '10.9.9.9', sourcePort: 40_000, localIp: connection.destinationIp, ...connection };
  return listener?.filterChains.match(sniffed) ?? undefined;
}

function valueOf<T>(name: string, result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: readonly FieldError[] }): T {
  if (!result.ok) throw new Error(`${name}: ${formatFieldErrors(result.error)}`);
  return result.value;
}

import { formatFieldErrors, ManualClock, seededRandom } from '@meltemi/base';
import { jsonToBinary } from '@meltemi/api';
import { Listener as ListenerMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { unknownConnection, type StreamInfo } from '@meltemi/http';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { compileListener, type Extensions, type HcmConfig, type Listener, type TcpProxyConfig } from '@meltemi/snapshot';
import { HttpConnectionManager } from '../http/connection-manager.ts';
import type { HttpSession } from '../http/http-session.ts';
import { RequestIds } from '../http/request-id.ts';
import type { HttpFilterFactory } from '../filter.ts';
import { filterExtensions, httpFilterFactory } from '../filters/registry.ts';
import { unknownNode, type NodeFacts } from '../node.ts';
import { LocalState, type AtomicState } from '../shared-state.ts';
import { grpcAccessLoggers } from '../reports/grpc-access-log.ts';
import { Backend } from './backend.ts';
import { Wire } from './wire.ts';

type Json = Record<string, unknown>;
const type = (name: string) => `type.googleapis.com/${name}`;

/** An HTTP filter or network filter as a config names it. */
export const filterJson = (name: string, typeName: string, fields: Json = {}): Json => ({ name, typedConfig: { '@type': type(typeName), ...fields } });
export const routerJson = filterJson('envoy.filters.http.router', 'envoy.extensions.filters.http.router.v3.Router');

/** A route of everything to cluster `app`. */
export const routeToApp = (more: Json = {}, action: Json = {}): Json => ({ match: { prefix: '/' }, route: { cluster: 'app', timeout: '0s', ...action }, ...more });

export interface ServedOptions {
  readonly routes?: readonly Json[];
  /** Before the router. */
  readonly filters?: readonly Json[];
  /** Filters of the test itself, before the router and behind `filters`; each is bound without a config. */
  readonly own?: readonly HttpFilterFactory[];
  readonly hcm?: Json;
  readonly direction?: 'inbound' | 'outbound';
  readonly node?: NodeFacts;
  /** The one cluster; "app" by default. */
  readonly cluster?: string;
  /** In place of a plain Backend. */
  readonly backend?: (clock: ManualClock) => Backend;
  /** What it knows in common with others. Default: nothing. */
  readonly shared?: AtomicState;
}

/** Whose word counts for something. */
const inside = { cidrRanges: [{ addressPrefix: '10.0.0.0', prefixLen: 8 }] };

/** A connection manager with its clock, one client and one backend, all in memory. */
export class Served {
  readonly clock = new ManualClock(1_000);
  readonly backend: Backend;
  readonly metrics = new StatsRegistry();
  readonly stats = new FlatStats();
  readonly manager: HttpConnectionManager;
  readonly done: StreamInfo[] = [];
  readonly bugs: unknown[] = [];
  readonly shared: AtomicState | LocalState;

  constructor(options: ServedOptions = {}) {
    const { routes = [routeToApp()], filters = [], hcm = {}, own = [], shared = new LocalState() } = options;
    this.shared = shared;
    const config = withOwn(own, hcmOf({ statPrefix: 'test', routeConfig: { name: 'inline', virtualHosts: [{ name: 'all', domains: ['*'], routes }] }, httpFilters: [...filters, routerJson], internalAddressConfig: inside, ...hcm }));
    const backend = options.backend?.(this.clock) ?? new Backend(options.cluster ?? 'app', this.clock);
    this.backend = backend;
    this.manager = new HttpConnectionManager(config, { table: config.routes.kind === 'inline' ? config.routes.table : null }, {
      clock: this.clock, random: seededRandom(1), requestIds: new RequestIds((buffer) => buffer.fill(7)), stats: this.stats, metrics: this.metrics, node: options.node ?? unknownNode,
      clusters: { get: (name) => (name === backend.name ? backend : null) }, direction: options.direction ?? 'unspecified', shared, listenerName: 'test', bufferLimit: 1000,
      httpDate: () => 'Thu, 01 Jan 1970 00:00:00 GMT', onComplete: (_config, info) => this.done.push(info), onBug: (error) => this.bugs.push(error),
      httpFilter: (typeUrl) => own.find(({ typeUrls }) => typeUrls.includes(typeUrl)) ?? httpFilterFactory(typeUrl),
    });
  }

  connect(): { wire: Wire; session: HttpSession } {
    const wire = new Wire();
    return { wire, session: this.manager.serve(wire, { ...unknownConnection, directRemoteAddress: wire.remoteAddress, localAddress: wire.localAddress }) };
  }

  /** Time passes and the worker looks at its connections. */
  pass(ms: number): void {
    this.clock.advance(ms);
    for (const session of this.manager.sessions) session.tick(this.clock.monotonic());
  }

  /** Values of one metric's only series, by label name; undefined when there is none. */
  series(name: string): Record<string, string | undefined> | undefined {
    const family = this.metrics.read().find(({ spec }) => spec.name === name);
    const [first] = family?.series() ?? [];
    return family && first && Object.fromEntries(family.spec.labelNames.map((label, i) => [label, first.values[i]]));
  }
}

/** One request's text. */
export const requestText = (path = '/', fields: readonly string[] = [], method = 'GET'): string => `${method} ${path} HTTP/1.1\r\nhost: reviews:9080\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`;

export function listenerOf(json: Json): Listener {
  const extensions: Extensions = filterExtensions(new Map(grpcAccessLoggers()));
  const compiled = compileListener(ListenerMessage.decode(jsonToBinary('envoy.config.listener.v3.Listener', { name: 'main', address: { socketAddress: { address: '127.0.0.1', portValue: 0 } }, ...json })), extensions);
  if (!compiled.ok) throw new Error(formatFieldErrors(compiled.error));
  return compiled.value.value;
}

function withOwn(own: readonly HttpFilterFactory[], config: HcmConfig): HcmConfig {
  const added = own.map(({ name, typeUrls: [typeUrl = ''] }) => ({ name, typeUrl, config: null, disabled: false }));
  return { ...config, httpFilters: [...config.httpFilters.slice(0, -1), ...added, ...config.httpFilters.slice(-1)] };
}

function hcmOf(json: Json): HcmConfig {
  const last = listenerOf({ filterChains: [{ filters: [filterJson('hcm', 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', json)] }] }).allFilterChains[0]?.networkFilters.at(-1);
  if (last?.kind !== 'http_connection_manager') throw new Error('no connection manager');
  return last.config;
}

export function tcpProxyOf(json: Json): TcpProxyConfig {
  const last = listenerOf({ filterChains: [{ filters: [filterJson('tcp', 'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { statPrefix: 'tcp', ...json })] }] }).allFilterChains[0]?.networkFilters.at(-1);
  if (last?.kind !== 'tcp_proxy') throw new Error('no TCP proxy');
  return last.config;
}

import { ManualClock, type Random } from '@meltemi/base';
import { pathOf, type RequestHead, type StreamInfo } from '@meltemi/http';
import { FlatStats, StatsRegistry } from '@meltemi/observe';
import { HttpConnectionManager, LocalState, nodeFacts, RequestIds } from '@meltemi/proxy';
import { clusterOf, redirectLocation, rewriteRequest, type ForwardAction, type Route, type RouteMatch, type RouteTable, type VirtualHost } from '@meltemi/route';
import type { HcmConfig } from '@meltemi/snapshot';
import type { Answer } from '../answer.ts';
import type { Call } from '../question.ts';
import type { ProxyView } from '../view.ts';
import { hostOf } from './connection.ts';
import { filtersFor, type Witness } from './stand-ins.ts';
import type { OnTheWay } from './on-the-way.ts';
import { originOfRoute, originOfRule, policyOfRule, providerOfRule } from './origins.ts';
import { requestEnds, settingsOf, targetOf } from './target.ts';
import { MemoryConnection } from './wire.ts';

/** Only what happens to every request happens here: of fractions below 100 % none. */
const never: Random = { next: () => 0.999_999 };

type HttpAnswer = Omit<Answer, 'listener' | 'filterChain' | 'steps'>;

/** Runs the request through the proxy's own connection manager and filters, in memory. */
export function walkHttp(way: OnTheWay, config: HcmConfig): HttpAnswer {
  const { view, call, steps } = way;
  // Pilot makes no scoped routes.
  const table = config.routes.kind === 'inline' ? config.routes.table : config.routes.kind === 'rds' ? (view.routes.get(config.routes.name) ?? null) : null;
  if (table === null) {
    steps.push({ at: 'route', name: config.routes.kind === 'inline' ? '' : config.routes.name, matched: false, detail: 'the proxy has no route table of this name' });
    return { outcome: 'no_route', status: 404 };
  }
  const witness: Witness = { arrived: false, route: null, steps };
  const text = requestText(call, way.connection.localAddress);
  if (text === null) return { outcome: 'protocol_error', status: 400, details: 'http1.codec_error' };
  let done: StreamInfo | null = null;
  const clock = new ManualClock(way.nowMs);
  // the request comes as HTTP/1.1 text, whatever was negotiated
  const manager = new HttpConnectionManager({ ...config, codecType: 'auto' }, { table }, {
    clock, random: never, requestIds: new RequestIds((buffer) => buffer.fill(7)), stats: new FlatStats(), metrics: new StatsRegistry(),
    node: nodeFacts({ id: view.proxy.id, cluster: '', metadata: { NAMESPACE: view.proxy.namespace, LABELS: view.proxy.labels } }),
    clusters: { get: () => null }, direction: way.listener.trafficDirection, shared: new LocalState(), listenerName: way.listener.name, bufferLimit: way.listener.perConnectionBufferLimit,
    httpDate: () => '', onComplete: (_config, info) => (done ??= info), onBug: (error) => { throw error; },
    httpFilter: filtersFor(call, witness, { providerOf: (rule) => providerOfRule(view, rule), originOf: (rule) => originOfRule(view, rule) }),
  });
  const wire = new MemoryConnection(way.connection);
  manager.serve(wire, way.connection);
  wire.receive(text);
  // injected delays pass
  clock.advance(longestDelayMs);
  const info = done as StreamInfo | null;
  if (info === null) return { outcome: 'protocol_error', details: 'the request is not complete' };
  const request = info.request;
  if (!witness.arrived || request === null) return answeredOnTheWay(view, info);
  return routed(way, table, witness.route, { request, info });
}

const longestDelayMs = 24 * 3_600_000;

/** The request's head in HTTP/1.1, whatever the protocol: filters and routes do not see the difference. Null when it has no such form. */
function requestText(call: Call, localAddress: string): string | null {
  const pseudo = (name: string) => call.headers[`:${name}`];
  const host = hostOf(call) || localAddress;
  const grpc = call.protocol === 'grpc';
  const lines = [`${call.method || (pseudo('method') ?? (grpc ? 'POST' : 'GET'))} ${call.path || (pseudo('path') ?? '/')} HTTP/1.1`, `host: ${host}`];
  for (const [name, value] of Object.entries(call.headers)) if (!name.startsWith(':') && name.toLowerCase() !== 'host') lines.push(`${name}: ${value}`);
  if (grpc) lines.push('content-type: application/grpc', 'te: trailers');
  return lines.some((line) => /[\r\n]/.test(line)) ? null : `${lines.join('\r\n')}\r\n\r\n`;
}

/** A filter, or the connection manager itself, had the last word. */
function answeredOnTheWay(view: ProxyView, info: StreamInfo): HttpAnswer {
  const details = info.responseCodeDetails ?? '';
  const place = info.virtualHostName === '' ? {} : { virtualHost: info.virtualHostName, route: info.routeName };
  const grpcStatus = info.response?.headers.get('grpc-status') ?? null;
  const common = { status: info.responseCode, ...(grpcStatus === null ? {} : { grpcStatus: Number(grpcStatus) }), ...place, ...(details === '' ? {} : { details }) };
  const rule = /^(?:rbac_access_denied_matched_policy|ext_authz_denied)\[(.*)\]$/.exec(details)?.[1];
  if (rule !== undefined) return { outcome: 'denied', ...common, ...policyOfRule(view, rule) };
  if (/^(jwt_authn_access_denied|ext_authz|rbac_access_denied)/.test(details)) return { outcome: 'denied', ...common };
  if (/^(http1|http2)\.|^(low_version|missing_host_header|absolute_path_rejected)$/.test(details)) return { outcome: 'protocol_error', ...common };
  if (details === 'path_normalization_failed') return { outcome: info.responseCode === 307 ? 'redirect' : 'protocol_error', ...common };
  return { outcome: 'direct_response', ...common };
}

interface Asked {
  readonly request: RequestHead;
  readonly info: StreamInfo;
}

function routed(way: OnTheWay, table: RouteTable, match: RouteMatch | null, asked: Asked): HttpAnswer {
  const { request } = asked;
  const host = table.virtualHostOf(request.authority);
  if (host === null) {
    way.steps.push({ at: 'virtual_host', name: '', matched: false, detail: `no virtual host of ${table.name} has a domain for "${request.authority}"` });
    return { outcome: 'no_virtual_host', status: 404, details: 'route_not_found' };
  }
  way.steps.push({ at: 'virtual_host', name: host.name, matched: true, detail: `"${request.authority}" is one of ${host.domains.slice(0, 8).join(', ')}` });
  const rule = considered(way, host, asked);
  if (match === null) return { outcome: 'no_route', virtualHost: host.name, status: 404, details: 'route_not_found' };
  const found = { virtualHost: match.virtualHostName || host.name, route: match.routeName };
  const { action } = match;
  switch (action.kind) {
    case 'redirect':
      return { outcome: 'redirect', ...found, status: action.status, location: redirectLocation(action, request) };
    case 'direct':
      return { outcome: 'direct_response', ...found, status: action.status };
    case 'non-forwarding':
      return { outcome: 'direct_response', ...found };
    case 'forward':
      return { outcome: 'routed', ...found, ...forwarded(way, action, { rule, match, request }) };
  }
}

/** Notes every rule that is asked, up to the one that matches, and returns that. */
function considered({ view, steps }: OnTheWay, host: VirtualHost, { request, info }: Asked): Route | null {
  const routes = host.routesFor(request);
  if (routes === null) {
    steps.push({ at: 'route', name: '', matched: false, detail: `the matcher of ${host.name} leads to none of its ${host.routes.length} routes` });
    return null;
  }
  for (const rule of routes) {
    const why = rule.whyNot(request, pathOf(request.path), never.next(), info);
    const origin = originOfRoute(view, rule);
    steps.push({ at: 'route', name: rule.name, matched: why === null, detail: why ?? `${rule.describe} matches`, ...(origin ? { origin } : {}) });
    if (why === null) return rule;
  }
  return null;
}

interface Forwarding {
  readonly rule: Route | null;
  readonly match: RouteMatch;
  readonly request: RequestHead;
}

function forwarded(way: OnTheWay, action: ForwardAction, { rule, match, request }: Forwarding): Pick<Answer, 'cluster' | 'clusters' | 'failing' | 'endpoints' | 'settings' | 'status' | 'details'> {
  const outcomes = (rule?.outcomes ?? [match]).flatMap((outcome, i) => {
    const name = outcome.action.kind === 'forward' ? clusterOf(outcome.action, request) : null;
    return name === null ? [] : [{ name, weight: (rule?.outcomes.length ?? 1) > 1 ? (rule?.weights[i] ?? 0) : 100 }];
  });
  const settings = settingsOf(match, action, request);
  rewriteRequest(action, request);
  const target = targetOf(way, outcomes, requestEnds(action.clusterNotFoundStatus));
  for (const { cluster } of action.mirrors) if (cluster !== null && !way.view.clusters.has(cluster)) way.steps.push({ at: 'cluster', name: cluster, matched: false, detail: 'the proxy has no cluster of this name: nothing is mirrored' });
  return { ...target, settings: { ...settings, path: request.path, authority: request.authority } };
}

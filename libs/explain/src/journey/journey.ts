import { ok, type Result } from '@meltemi/base';
import type { Answer, EndpointAnswer } from '../answer.ts';
import type { SetAside } from '../load.ts';
import type { MeshViews } from '../mesh-views.ts';
import type { Call, ProxyQuestion } from '../question.ts';
import { serverNameAt } from '../walk/target.ts';
import { walk } from '../walk/walk.ts';
import { findWorkload, hasProxy, proxyOf } from './find-workload.ts';

/** One proxy on the way. */
export interface Leg {
  /** "productpage-v1.default" */
  readonly workload: string;
  readonly call: Call;
  readonly answer: Answer;
}

/** A request from its client to the application that serves it. */
export interface Journey {
  readonly legs: readonly Leg[];
  readonly setAside: readonly SetAside[];
}

export interface JourneyRequest {
  /** "namespace/workload" */
  readonly from: string;
  readonly method: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
}

/** Follows a request through the client's proxy, gateways on the way, and the server's proxy. */
export function journey(views: MeshViews, request: JourneyRequest, nowMs: number): Result<Journey> {
  const { push, mesh } = views;
  const client = findWorkload(push, request.from);
  if (!client.ok) return client;
  const legs: Leg[] = [];
  const setAside = new Map<string, SetAside>();
  let proxy: ProxyQuestion = client.value;
  let call = firstCall(proxy, request);
  for (let hop = 0; hop < maxHops; hop++) {
    const view = views.of(proxy);
    if (!view.ok) return view;
    for (const one of view.value.setAside) setAside.set(JSON.stringify(one.origin), one);
    const answer = walk(view.value, call, nowMs);
    legs.push({ workload: `${typeof proxy.metadata['NAME'] === 'string' ? proxy.metadata['NAME'] : 'workload'}.${proxy.namespace}`, call, answer });
    const next = answer.outcome === 'routed' && call.mode !== 'inbound' ? chosen(answer) : undefined;
    const server = next && push.registry.workloads.get(hostOf(next.address));
    if (next === undefined || server === undefined || !hasProxy(server)) break;
    const principal = next.tls === 'mtls' ? `spiffe://${mesh.meshConfig.trustDomain || 'cluster.local'}/ns/${proxy.namespace}/sa/${proxy.serviceAccount || 'default'}` : '';
    call = nextCall(call, { answer, endpoint: next, serverName: serverNameAt(view.value, answer.cluster ?? '', next.address) ?? '', principal, sourceAddress: proxy.ip });
    proxy = proxyOf(push, server);
    if (proxy.type === 'router') call = { ...call, mode: 'gateway' };
  }
  return ok({ legs, setAside: [...setAside.values()] });
}

/** Client, egress gateway, east-west gateway, server: more is a loop. */
const maxHops = 5;

function firstCall(proxy: ProxyQuestion, { method, url, headers }: JourneyRequest): Call {
  const secure = url.protocol === 'https:';
  const tcp = url.protocol === 'tcp:';
  return {
    mode: proxy.type === 'router' ? 'gateway' : 'outbound', address: '', port: Number(url.port) || (secure ? 443 : 80), protocol: tcp ? 'tcp' : url.protocol === 'h2c:' || url.protocol === 'grpc:' ? 'http2' : 'http',
    tls: secure ? 'tls' : 'none', host: url.host, path: `${url.pathname || '/'}${url.search}`, method, headers, sourceAddress: '', principal: '', extAuthz: {},
  };
}

interface Arriving {
  readonly answer: Answer;
  readonly endpoint: EndpointAnswer;
  /** What the connection asks for; "": the request's host. */
  readonly serverName: string;
  readonly principal: string;
  readonly sourceAddress: string;
}

/** What the next proxy gets: the request as the route rewrote it, at the endpoint's address; the client's own TLS where nobody ended it. */
function nextCall({ sni, ...call }: Call, { answer, endpoint, serverName, principal, sourceAddress }: Arriving): Call {
  const { settings } = answer;
  const address = { mode: 'inbound', address: hostOf(endpoint.address), port: Number(endpoint.address.slice(endpoint.address.lastIndexOf(':') + 1)), sourceAddress } as const;
  const passedOn = endpoint.tls === 'none' && call.tls !== 'none' && !answer.steps.some(({ at, matched }) => at === 'tls' && matched);
  if (passedOn) return { ...call, ...address, ...(sni === undefined ? {} : { sni }) };
  return {
    ...call, ...address, ...(serverName === '' ? {} : { sni: serverName }), tls: endpoint.tls, principal,
    ...(settings ? { path: settings.path, host: settings.authority } : {}),
  };
}

function chosen({ endpoints = [] }: Answer): EndpointAnswer | undefined {
  return endpoints.find(({ health, priority }) => health === 'healthy' && priority === 0) ?? endpoints[0];
}

function hostOf(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$/g, '');
}

import { addressWithoutPort, remoteAddress, type HeaderMap, type RequestHead, type StreamInfo } from '@meltemi/http';
import type { HcmConfig } from '@meltemi/snapshot';
import { decisionTraceFilter, traceHeader } from '../filters/http/decision-trace/decision-trace.ts';
import type { NodeFacts } from '../node.ts';
import { isInternalAddress, originOf } from './forwarded.ts';
import type { DetectedOrigin } from './ip-detection.ts';
import type { RequestIds } from './request-id.ts';
import { appendVia } from './via.ts';
import { applyXfcc } from './xfcc.ts';

/** What only the mesh's own callers may ask of a router. */
const internalOnly = new Set([
  'x-envoy-retriable-status-codes', 'x-envoy-retriable-header-names', 'x-envoy-retry-on', 'x-envoy-retry-grpc-on', 'x-envoy-max-retries', 'x-envoy-upstream-alt-stat-name',
  'x-envoy-upstream-rq-timeout-ms', 'x-envoy-upstream-rq-per-try-timeout-ms', 'x-envoy-upstream-rq-timeout-alt-response', 'x-envoy-expected-rq-timeout-ms', 'x-envoy-force-trace',
  'x-envoy-ip-tags', 'x-envoy-hedge-on-per-try-timeout',
]);
/** A URL without user information and fragment, or a relative reference whose first segment has no colon. */
const plainReferer = /^(?:[a-z][a-z0-9+.-]*:\/\/[^/?#@]+(?:[/?][^#]*)?|[^:/#]*(?:\/[^#]*)?)$/i;
/** What proxies say of a request, and CGI's readers of headers cannot tell from the same with underscores. */
const saidByProxies = /^x-(?:forwarded-|envoy-|request-id$|real-ip$)/;

/** What a request is prepared with beside the connection manager's config. */
export interface Surroundings {
  readonly ids: RequestIds;
  readonly node: NodeFacts;
  /** internal_only_headers of the route table: fields that nobody outside may send. */
  readonly internalOnlyHeaders: readonly string[];
  /** What detectors found out of the client; null = none are configured. */
  readonly origin: DetectedOrigin | null;
}

/**
 * Makes a request trustworthy before any filter sees it: forwarding headers, request id, client certificate header, and nothing
 * forged under x-envoy-*. Source: Envoy's connection manager docs. One walk over the fields finds what is there.
 * Returns whether the answer must tell the request id, because a trace is forced. @hot
 */
export function prepareRequest(config: HcmConfig, surroundings: Surroundings, head: RequestHead, info: StreamInfo): boolean {
  const { ids, node } = surroundings;
  const headers = head.headers;
  const flat = headers.flat;
  let forwardedFor = -1;
  let forwardedProto = -1;
  let requestId = -1;
  let clientCert = false;
  let control = false;
  let underscores = false;
  let trace = false;
  let referer = false;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? '';
    const first = name.charCodeAt(0);
    if (first === 114 && name === 'referer') referer = true;
    if (first !== 120) continue;
    if (name === 'x-forwarded-for') forwardedFor = i;
    else if (name === 'x-forwarded-proto') forwardedProto = i;
    else if (name === 'x-request-id') requestId = i;
    else if (name === 'x-forwarded-client-cert') clientCert = true;
    else if (name.startsWith('x-envoy-')) control = true;
    else if (name === traceHeader) trace = true;
    else if (name.includes('_')) underscores = true;
  }
  const idValue = requestId < 0 ? null : (flat[requestId + 1] ?? null);
  if (underscores) dropLookalikes(headers);
  if (referer) checkReferer(headers);
  const edge = setForwarded(config, surroundings, head, info, forwardedFor, forwardedProto, control);
  if (trace && edge) dropQuestion(config, headers);
  if (clientCert || info.connection.tls !== null || config.forwardClientCert !== 'sanitize') applyXfcc(config, info.connection.tls, headers);
  info.requestId = idValue;
  if (config.generateRequestId && (idValue === null || (edge && !config.preserveExternalRequestId))) {
    const id = ids.next();
    if (idValue === null) headers.add('x-request-id', id);
    else headers.set('x-request-id', id);
    info.requestId = id;
  }
  if (config.addUserAgent) addUserAgent(headers, node);
  if (config.via !== '') appendVia(headers, config.via);
  return control && headers.has('x-envoy-force-trace');
}

/** Names this proxy's service to the upstream; the client's own user agent stays. */
function addUserAgent(headers: HeaderMap, node: NodeFacts): void {
  headers.set('x-envoy-downstream-service-cluster', node.cluster);
  if ((headers.get('user-agent') ?? '') === '') headers.set('user-agent', node.cluster);
  if (node.id !== '') headers.set('x-envoy-downstream-service-node', node.id);
}

/** Returns whether the request comes from outside, over our own edge. */
function setForwarded(config: HcmConfig, { internalOnlyHeaders, origin }: Surroundings, head: RequestHead, info: StreamInfo, forwardedFor: number, forwardedProto: number, control: boolean): boolean {
  const headers = head.headers;
  const scheme = info.connection.tls === null ? 'http' : 'https';
  let internal = false;
  let client = '';
  if (config.useRemoteAddress) {
    const sent = forwardedFor < 0 ? null : headers.getAll('x-forwarded-for');
    const direct = addressWithoutPort(remoteAddress(info.connection));
    client = config.xffNumTrustedHops === 0 ? direct : originOf(sent, config.xffNumTrustedHops - 1).address || direct;
    internal = sent === null && isInternalAddress(config, client);
    if (!config.skipXffAppend) headers.set('x-forwarded-for', sent === null || sent === '' ? direct : `${sent},${direct}`);
    if (config.xffNumTrustedHops === 0 || forwardedProto < 0) headers.set('x-forwarded-proto', scheme);
  } else {
    if (origin !== null) {
      client = origin.address;
      internal = origin.trusted && isInternalAddress(config, client);
    } else if (forwardedFor >= 0) {
      const said = originOf(headers.getAll('x-forwarded-for'), config.xffNumTrustedHops);
      client = said.address;
      internal = said.single && isInternalAddress(config, client);
    }
    if (forwardedProto < 0) headers.add('x-forwarded-proto', scheme);
  }
  if (client !== '' && client !== addressWithoutPort(remoteAddress(info.connection))) info.downstreamRemoteAddress = client.includes(':') ? `[${client}]:0` : `${client}:0`;
  if (config.appendXForwardedPort) setForwardedPort(config, headers, info.connection.localAddress);
  setScheme(config, head, scheme);
  const edge = config.useRemoteAddress && !internal;
  if (control) dropForged(headers, internal, edge);
  if (!internal) for (const name of internalOnlyHeaders) headers.remove(name);
  if (internal) headers.set('x-envoy-internal', 'true');
  else if (edge) headers.set('x-envoy-external-address', client);
  return edge;
}

function setForwardedPort(config: HcmConfig, headers: HeaderMap, localAddress: string): void {
  const believed = !config.useRemoteAddress || config.xffNumTrustedHops > 0;
  if (!believed || !headers.has('x-forwarded-port')) headers.set('x-forwarded-port', localAddress.slice(localAddress.lastIndexOf(':') + 1));
}

/**
 * What HTTP/2 and a URL in the request line say holds; else what x-forwarded-proto says, now that it is trustworthy; else whether there is TLS.
 * Deviation: Envoy passes any other word for :scheme on.
 */
function setScheme(config: HcmConfig, head: RequestHead, ofConnection: 'http' | 'https'): void {
  if (config.schemeToOverwrite !== null) {
    head.scheme = config.schemeToOverwrite;
    head.headers.set('x-forwarded-proto', head.scheme);
    return;
  }
  const said = head.protocol === 'HTTP/2' || head.scheme !== ofConnection ? head.scheme : head.headers.get('x-forwarded-proto') ?? '';
  head.scheme = knownScheme(said) ?? ofConnection;
}

function knownScheme(text: string): 'http' | 'https' | null {
  if (text === 'http' || text === 'https') return text;
  const lower = text.toLowerCase();
  return lower === 'http' || lower === 'https' ? lower : null;
}

/** A referer may be said once, and says no secrets: neither a fragment nor somebody's name and password. */
function checkReferer(headers: HeaderMap): void {
  const said = headers.values('referer');
  if (said.length !== 1 || !plainReferer.test(said[0] ?? '')) headers.remove('referer');
}

function dropForged(headers: HeaderMap, internal: boolean, edge: boolean): void {
  headers.remove('x-envoy-internal');
  if (internal) return;
  if (edge) dropNamed(headers, isControl);
  else for (const name of internalOnly) headers.remove(name);
}

/** Deviation: Envoy takes those away that it knows of; what an address in x-envoy-original-dst-host or the next name does is no client's business. */
function isControl(name: string): boolean {
  return name.startsWith('x-envoy-');
}

/** Nobody outside asks proxies behind the edge under the edge's name; where the edge itself answers, its filter knows who may. */
function dropQuestion(config: HcmConfig, headers: HeaderMap): void {
  if (!config.httpFilters.some(({ typeUrl }) => typeUrl === decisionTraceFilter.typeUrls[0])) headers.remove(traceHeader);
}

/** Deviation: Envoy passes x_forwarded_for on. */
function dropLookalikes(headers: HeaderMap): void {
  dropNamed(headers, (name) => name.includes('_') && saidByProxies.test(name.replaceAll('_', '-')));
}

function dropNamed(headers: HeaderMap, matches: (name: string) => boolean): void {
  const names = headers.flat.filter((name, i) => i % 2 === 0 && matches(name));
  for (const name of names) headers.remove(name);
}

import type { HeaderValue } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { HttpService } from '@meltemi/api/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz.ts';
import type { ListStringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { compileFormat, fromWire, HeaderMap, RequestHead, toWire, type Formatter, type StreamInfo } from '@meltemi/http';
import type { StringMatch } from '@meltemi/match';
import { durationMs } from '@meltemi/route';
import type { AsyncAnswer } from '../../../http/async-request.ts';
import { shownFields, type ShownBody } from './check-request.ts';
import { anyMatches, compileNames } from './field-lists.ts';
import { framesMessages } from './mutations.ts';
import { failed, type HeaderChange, type Verdict } from './verdict.ts';

/** An authorization service that speaks HTTP. */
export interface HttpTarget {
  readonly cluster: string;
  readonly timeoutMs: number;
  /** Goes before the request's own path. */
  readonly pathPrefix: string;
  /** authorization_request.allowed_headers; null when unset. */
  readonly allowed: readonly StringMatch[] | null;
  readonly add: readonly (readonly [string, Formatter])[];
  readonly upstream: readonly StringMatch[];
  readonly upstreamAppend: readonly StringMatch[];
  /** Empty = all. */
  readonly client: readonly StringMatch[];
  readonly clientOnSuccess: readonly StringMatch[];
  readonly metadata: readonly StringMatch[];
}

export function compileHttpService(message: HttpService, defaultTimeoutMs: number, path: string): Result<HttpTarget> {
  const { serverUri, authorizationRequest: request, authorizationResponse: response } = message;
  const errors: FieldError[] = [];
  const cluster = serverUri?.httpUpstreamType?.value ?? '';
  if (cluster === '') errors.push({ path: `${path}.server_uri.cluster`, message: 'is required: name the cluster of the service' });
  if (message.pathPrefix !== '' && !/^\/[^?#\s]*$/.test(message.pathPrefix)) errors.push({ path: `${path}.path_prefix`, message: 'must begin with "/" and hold neither "?", "#" nor white space' });
  const list = (patterns: ListStringMatcher | undefined, at: string): StringMatch[] => {
    const compiled = compileNames(patterns, `${path}.${at}`);
    if (!compiled.ok) errors.push(...compiled.error);
    return compiled.ok ? compiled.value : [];
  };
  const target: HttpTarget = {
    cluster, timeoutMs: durationMs(serverUri?.timeout, 0) || defaultTimeoutMs, pathPrefix: message.pathPrefix,
    allowed: request?.allowedHeaders === undefined ? null : list(request.allowedHeaders, 'authorization_request.allowed_headers'),
    add: compileAdditions(request?.headersToAdd ?? [], `${path}.authorization_request.headers_to_add`, errors),
    upstream: list(response?.allowedUpstreamHeaders, 'authorization_response.allowed_upstream_headers'),
    upstreamAppend: list(response?.allowedUpstreamHeadersToAppend, 'authorization_response.allowed_upstream_headers_to_append'),
    client: list(response?.allowedClientHeaders, 'authorization_response.allowed_client_headers'),
    clientOnSuccess: list(response?.allowedClientHeadersOnSuccess, 'authorization_response.allowed_client_headers_on_success'),
    metadata: list(response?.dynamicMetadataFromHeaders, 'authorization_response.dynamic_metadata_from_headers'),
  };
  return errors.length > 0 ? err(errors) : ok(target);
}

function compileAdditions(headers: readonly HeaderValue[], path: string, errors: FieldError[]): (readonly [string, Formatter])[] {
  return headers.flatMap(({ key, value }, i) => {
    const format = compileFormat(toWire(value), { wire: true });
    if (format.ok && key !== '') return [[key.toLowerCase(), format.value] as const];
    errors.push({ path: `${path}[${i}]`, message: format.ok ? 'needs a key' : format.error.map(({ message }) => message).join('; ') });
    return [];
  });
}

/** What every service is shown, whatever its lists say. */
const alwaysShown = new Set(['authorization', ':method', ':path', ':authority', 'host']);

export interface Question {
  readonly request: RequestHead;
  readonly info: StreamInfo;
  readonly body: ShownBody | null;
  /** By the filter's own lists. */
  readonly allowed: readonly StringMatch[] | null;
  readonly disallowed: readonly StringMatch[];
}

/** The request as the service is asked: method, path, host and the allowed fields of the client's own. */
export function questionHead(target: HttpTarget, { request, info, body, allowed, disallowed }: Question): RequestHead {
  const names = allowed ?? target.allowed ?? [];
  const fields = shownFields(request, (name) => !anyMatches(disallowed, name) && (alwaysShown.has(name) || anyMatches(names, name)), body);
  const headers = new HeaderMap();
  for (const [name, value] of fields) if (!name.startsWith(':') && !framesMessages(name)) headers.add(name, value);
  for (const [name, format] of target.add) headers.set(name, format.format(info));
  return new RequestHead(request.method, `${target.pathPrefix}${request.path}`, request.authority, headers, request.scheme);
}

const removeHeader = 'x-envoy-auth-headers-to-remove';

/** 200 allows, a 5xx is the service's own trouble, everything else denies. */
export function httpVerdict(target: HttpTarget, { status, head, body }: AsyncAnswer): Verdict {
  if (status >= 500) return failed;
  const fields = [...head.headers].filter(([name]) => name !== removeHeader && !framesMessages(name));
  const matching = (matchers: readonly StringMatch[]) => fields.filter(([name]) => anyMatches(matchers, name));
  const metadata = Object.fromEntries(matching(target.metadata).map(([name, value]) => [name, fromWire(value)]));
  const told = Object.keys(metadata).length === 0 ? null : metadata;
  if (status !== 200) {
    const shown = target.client.length === 0 ? fields : fields.filter(([name]) => name === 'www-authenticate' || name === 'location' || anyMatches(target.client, name));
    return { kind: 'denied', status, body, headers: shown.filter(([name]) => name !== 'host'), metadata: told };
  }
  const changes = (list: readonly [string, string][], action: HeaderChange['action']) => list.map(([name, value]): HeaderChange => ({ name, value, action }));
  return {
    kind: 'ok', metadata: told,
    request: [...changes(matching(target.upstream), 'overwrite'), ...changes(matching(target.upstreamAppend), 'append')],
    remove: (head.headers.getAll(removeHeader) ?? '').split(',').map((name) => name.trim().toLowerCase()).filter((name) => name !== ''),
    setParams: [], removeParams: [],
    response: changes(matching(target.clientOnSuccess), 'append'),
  };
}

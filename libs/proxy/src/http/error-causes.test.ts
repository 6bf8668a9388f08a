import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatResponseFlags } from '@meltemi/http';
import { filterJson, requestText, routeToApp, Served, type ServedOptions } from '../testing/served.ts';

type Json = Record<string, unknown>;
const filter = (name: string, fields: Json = {}) => filterJson(`envoy.filters.http.${name.split('.')[0]}`, `envoy.extensions.filters.http.${name}`, fields);
const trace = filterJson('trace', 'meltemi.filters.http.decision_trace.v1.DecisionTrace', { allowLocal: true });
const always = { numerator: 100 };

interface Case extends ServedOptions {
  readonly what: string;
  /** What the client sends; default: GET /. */
  readonly sends?: string;
  /** What happens then. */
  readonly happens?: (served: Served, again: () => void) => void;
  readonly status: number;
  readonly details: string;
  readonly flags?: string;
  /** The request was over before filters saw it: only the log can tell. */
  readonly unseen?: true;
}

/** Every kind of answer the proxy makes up itself, with the cause that access logs and x-meltemi-trace give. */
const cases: readonly Case[] = [
  { what: 'no route', routes: [{ match: { prefix: '/other' }, route: { cluster: 'app' } }], status: 404, details: 'route_not_found', flags: 'NR' },
  { what: 'no such cluster', routes: [routeToApp({}, { cluster: 'nowhere' })], status: 503, details: 'cluster_not_found', flags: 'NC' },
  { what: 'a direct response', routes: [{ match: { prefix: '/' }, directResponse: { status: 418 } }], status: 418, details: 'direct_response' },
  { what: 'a redirect', routes: [{ match: { prefix: '/' }, redirect: { hostRedirect: 'b' } }], status: 301, details: 'direct_response' },
  { what: 'a route that times out', routes: [routeToApp({}, { timeout: '1s' })], happens: (served) => served.pass(1500), status: 504, details: 'upstream_response_timeout', flags: 'UT' },
  { what: 'a backend that breaks off', happens: (served) => served.backend.requests[0]?.break(), status: 503, details: 'upstream_reset_before_response_started{connection_termination}', flags: 'UC' },
  { what: 'an abort by fault', filters: [filter('fault.v3.HTTPFault', { abort: { httpStatus: 555, percentage: always } })], status: 555, details: 'fault_filter_abort', flags: 'FI' },
  { what: 'a policy', filters: [filter('rbac.v3.RBAC', { rules: {} })], status: 403, details: 'rbac_access_denied_matched_policy[none]' },
  { what: 'a local rate limit', filters: [filter('local_ratelimit.v3.LocalRateLimit', { statPrefix: 's', tokenBucket: { maxTokens: 1, fillInterval: '60s' }, filterEnabled: { defaultValue: always }, filterEnforced: { defaultValue: always } })], happens: (served, again) => { served.backend.requests[0]?.respond(); again(); }, status: 429, details: 'local_rate_limited', flags: 'RL' },
  { what: 'a body too large to hold', filters: [filter('buffer.v3.Buffer', { maxRequestBytes: 4 })], sends: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n12345678', status: 413, details: 'request_payload_too_large' },
  { what: 'no token', filters: [filter('jwt_authn.v3.JwtAuthentication', { providers: { p: { issuer: 'i', localJwks: { inlineString: '{"keys":[]}' } } }, rules: [{ match: { prefix: '/' }, requires: { providerName: 'p' } }] })], status: 401, details: 'jwt_authn_access_denied{Jwt_is_missing}' },
  { what: 'a preflight', filters: [filter('cors.v3.Cors')], routes: [routeToApp({ typedPerFilterConfig: { 'envoy.filters.http.cors': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy', allowOriginStringMatch: [{ exact: 'http://o' }], filterEnabled: { defaultValue: always } } } })], sends: 'OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: http://o\r\nAccess-Control-Request-Method: GET\r\n\r\n', status: 200, details: 'cors_response' },
  { what: 'a stream that idles', hcm: { streamIdleTimeout: '1s' }, happens: (served) => [1, 2].forEach(() => served.pass(5000)), status: 504, details: 'stream_idle_timeout', flags: 'SI' },
  { what: 'a request that never ends', hcm: { requestTimeout: '1s' }, sends: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n', happens: (served) => served.pass(5000), status: 408, details: 'request_overall_timeout' },
  { what: 'no host', sends: 'GET / HTTP/1.1\r\n\r\n', status: 400, details: 'missing_host_header', flags: 'DPE', unseen: true },
  { what: 'bytes that are no HTTP', sends: 'nonsense\r\n\r\n', status: 400, details: 'http1.codec_error', flags: 'DPE', unseen: true },
];

for (const { what, sends = requestText(), happens, status, details, flags = '-', unseen, filters = [], ...options } of cases)
  test(`${what} names its cause: ${details}`, () => {
    const served = new Served({ ...options, filters: [trace, ...filters] });
    const { wire } = served.connect();
    const send = () => wire.receive(unseen ? sends : sends.replace('\r\n\r\n', '\r\nx-meltemi-trace: 1\r\n\r\n'));
    send();
    happens?.(served, send);
    const info = served.done.at(-1);
    assert.deepEqual([info?.responseCode, info?.responseCodeDetails, formatResponseFlags(info?.responseFlags ?? 0)], [status, details, flags]);
    assert.match(wire.sent, new RegExp(`HTTP/1\\.1 ${status} `));
    const told = wire.sent.split(`HTTP/1.1 ${status} `).at(-1)?.match(/x-meltemi-trace: (.*)\r\n/)?.[1];
    if (!unseen) assert.equal((JSON.parse(told ?? '{}') as Json)['details'], details);
    assert.deepEqual(served.bugs, []);
  });

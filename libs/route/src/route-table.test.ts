import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonToBinary } from '@meltemi/api';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { seededRandom } from '@meltemi/base';
import { HeaderMap, RequestHead, StreamInfo, unknownConnection } from '@meltemi/http';
import {
  applyHeaderOps, clusterOf, compileRouteTable, redirectLocation, RetryOn, rewriteRequest, type ForwardAction, type RouteMatch, type RouteTable,
} from './index.ts';

function decode(json: object): RouteConfiguration {
  return RouteConfiguration.decode(jsonToBinary('envoy.config.route.v3.RouteConfiguration', json));
}

function table(json: object): RouteTable {
  const compiled = compileRouteTable(decode(json));
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return compiled.value;
}

function errorPaths(json: object): string[] {
  const compiled = compileRouteTable(decode(json));
  return compiled.ok ? [] : compiled.error.map((error) => error.path);
}

const to = (cluster: string) => ({ match: { prefix: '/' }, route: { cluster } });
const oneHost = (...routes: object[]) => ({ name: 'r', virtual_hosts: [{ name: 'v', domains: ['*'], routes }] });

function get(path: string, fields: Record<string, string> = {}, authority = 'a.example'): RequestHead {
  return new RequestHead('GET', path, authority, HeaderMap.from(fields));
}

function forward(match: RouteMatch | null): ForwardAction {
  assert.equal(match?.action.kind, 'forward');
  return match?.action as ForwardAction;
}

function clusterFor(routes: RouteTable, request: RequestHead, random = 0): string | null {
  const match = routes.match(request, random, null);
  return match?.action.kind === 'forward' ? clusterOf(match.action, request) : null;
}

test('the virtual host is the exact one, then the longest suffix, the longest prefix, any', () => {
  const domains = { exact: ['a.foo.com'], short: ['*.foo.com'], long: ['*.b.foo.com', '*-x.foo.com'], prefix: ['foo.*'], longer: ['foo.bar.*'], any: ['*'], port: ['p.com:8080'] };
  const routes = table({ virtual_hosts: Object.entries(domains).map(([name, list]) => ({ name, domains: list, routes: [to(name)] })) });
  for (const [authority, name] of [
    ['a.foo.com', 'exact'], ['A.FOO.com', 'exact'], ['c.foo.com', 'short'], ['c.b.foo.com', 'long'], ['y-x.foo.com', 'long'], ['foo.org', 'prefix'], ['foo.bar.org', 'longer'],
    ['foo.com', 'prefix'], ['.foo.com', 'any'], ['x', 'any'], ['', 'any'], ['p.com:8080', 'port'], ['p.com', 'any'], ['a.foo.com:80', 'any'],
  ] as const) assert.equal(clusterFor(routes, get('/', {}, authority)), name, authority);
  const portless = table({ ignore_port_in_host_matching: true, virtual_hosts: [{ name: 'v', domains: ['a.com', '[::1]'], routes: [to('c')] }] });
  assert.equal(clusterFor(portless, get('/', {}, 'a.com:8080')), 'c');
  assert.equal(clusterFor(portless, get('/', {}, '[::1]:8080')), 'c');
});

test('duplicate domains and names, broken wildcards and empty hosts are refused by name', () => {
  assert.deepEqual(errorPaths({ virtual_hosts: [{ name: 'a', domains: ['x', 'X'] }, { name: 'a', domains: ['*', 'y*z', '*'] }, { name: 'b' }] }),
    ['virtual_hosts[2].domains', 'virtual_hosts[0].domains[1]', 'virtual_hosts[1].name', 'virtual_hosts[1].domains[1]', 'virtual_hosts[1].domains[2]']);
});

test('paths match as prefix, exactly, by segment, by expression; the first route wins', () => {
  const routes = table(oneHost(
    { match: { path: '/Exact', case_sensitive: false }, route: { cluster: 'exact' } }, { match: { path_separated_prefix: '/seg' }, route: { cluster: 'seg' } },
    { match: { safe_regex: { regex: '/re/[0-9]+' } }, route: { cluster: 're' } }, { match: { prefix: '/api' }, route: { cluster: 'api' } },
    { match: { connect_matcher: {} }, route: { cluster: 'connect' } },
  ));
  for (const [path, cluster] of [
    ['/exact', 'exact'], ['/EXACT?q', 'exact'], ['/exact/', null], ['/seg', 'seg'], ['/seg/x', 'seg'], ['/segment', null], ['/seg?x', 'seg'],
    ['/re/12?x=y', 're'], ['/re/12/', null], ['/apix', 'api'], ['/API', null],
  ] as const) assert.equal(clusterFor(routes, get(path)), cluster, path);
  assert.equal(clusterFor(routes, new RequestHead('CONNECT', '', 'x:1')), 'connect');
});

test('headers, query, gRPC and fractions decide', () => {
  const routes = table(oneHost(
    { match: { prefix: '/', headers: [{ name: 'end-user', string_match: { exact: 'jason' } }] }, route: { cluster: 'jason' } },
    { match: { prefix: '/', query_parameters: [{ name: 'v', string_match: { exact: '2' } }] }, route: { cluster: 'query' } },
    { match: { prefix: '/', grpc: {} }, route: { cluster: 'grpc' } },
    { match: { prefix: '/', runtime_fraction: { default_value: { numerator: 25, denominator: 'HUNDRED' } } }, route: { cluster: 'quarter' } }, to('rest'),
  ));
  assert.equal(clusterFor(routes, get('/', { 'end-user': 'jason' })), 'jason');
  assert.equal(clusterFor(routes, get('/?v=2')), 'query');
  assert.equal(clusterFor(routes, get('/', { 'content-type': 'application/grpc+proto' })), 'grpc');
  assert.equal(clusterFor(routes, get('/'), 0.24), 'quarter');
  assert.equal(clusterFor(routes, get('/'), 0.25), 'rest');
});

test('weights share the traffic and zero gets none', () => {
  const routes = table(oneHost({ match: { prefix: '/' }, route: { weighted_clusters: { clusters: [{ name: 'a', weight: 80 }, { name: 'z', weight: 0 }, { name: 'b', weight: 20 }] } } }));
  const random = seededRandom(1);
  const counts: Record<string, number> = {};
  for (let i = 0; i < 10_000; i++) {
    const name = clusterFor(routes, get('/'), random.next()) ?? '';
    counts[name] = (counts[name] ?? 0) + 1;
  }
  assert.deepEqual(Object.keys(counts).toSorted(), ['a', 'b']);
  assert.ok(Math.abs((counts['a'] ?? 0) - 8000) < 200, JSON.stringify(counts));
  assert.deepEqual([...routes.clusterNames].toSorted(), ['a', 'b']);
});

test('rewrites change path and host and keep what was there', () => {
  for (const [route, path, expected] of [
    [{ match: { prefix: '/api/' }, route: { cluster: 'c', prefix_rewrite: '/' } }, '/api/x?q=1', '/x?q=1'],
    [{ match: { path: '/a' }, route: { cluster: 'c', prefix_rewrite: '/b' } }, '/a?q=1', '/b?q=1'],
    [{ match: { safe_regex: { regex: '/.*' } }, route: { cluster: 'c', prefix_rewrite: '/b' } }, '/abc', '/b'],
    [{ match: { prefix: '/' }, route: { cluster: 'c', regex_rewrite: { pattern: { regex: '^/service/([^/]+)(/.*)$' }, substitution: '\\2/x/\\1' } } }, '/service/foo/v1?q', '/v1/x/foo?q'],
  ] as const) {
    const request = get(path);
    rewriteRequest(forward(table(oneHost(route)).match(request, 0, null)), request);
    assert.equal(request.path, expected);
    assert.equal(request.headers.get('x-envoy-original-path'), path);
  }
  const request = get('/', { 'x-to': 'h.example' });
  rewriteRequest(forward(table(oneHost({ match: { prefix: '/' }, route: { cluster: 'c', host_rewrite_header: 'x-to', append_x_forwarded_host: true } })).match(request, 0, null)), request);
  assert.deepEqual([request.authority, request.headers.get('x-forwarded-host'), request.headers.get('x-envoy-original-host')], ['h.example', 'a.example', 'a.example']);
});

test('an old host is told once at the end of the list, and nothing of it where the router suppresses its fields', () => {
  const action = forward(table(oneHost({ match: { prefix: '/' }, route: { cluster: 'c', host_rewrite_literal: 'h', prefix_rewrite: '/n/', append_x_forwarded_host: true } })).match(get('/'), 0, null));
  const rewritten = (before: string, keep = true) => {
    const request = get('/', { 'x-forwarded-host': before });
    rewriteRequest(action, request, keep);
    return ['x-forwarded-host', 'x-envoy-original-host', 'x-envoy-original-path'].map((name) => request.headers.get(name));
  };
  assert.deepEqual(rewritten('z'), ['z,a.example', 'a.example', '/']);
  assert.deepEqual(rewritten('z, a.example'), ['z, a.example', 'a.example', '/']);
  assert.deepEqual(rewritten('z', false), ['z,a.example', null, null]);
});

test('URI templates match paths and rewrite them', () => {
  const policy = (kind: 'match' | 'rewrite', fields: object) => ({ name: kind, typed_config: { '@type': `type.googleapis.com/envoy.extensions.path.${kind}.uri_template.v3.UriTemplate${kind === 'match' ? 'Match' : 'Rewrite'}Config`, ...fields } });
  const match = { path_match_policy: policy('match', { path_template: '/v1/{kind}/{id}' }) };
  const route = (more: object) => oneHost({ match, route: { cluster: 'c', ...more } });
  const rewrite = { path_rewrite_policy: policy('rewrite', { path_template_rewrite: '/{id}/{kind}' }) };
  const request = get('/v1/books/7?q=1');
  rewriteRequest(forward(table(route(rewrite)).match(request, 0, null)), request);
  assert.deepEqual([request.path, request.headers.get('x-envoy-original-path')], ['/7/books?q=1', '/v1/books/7?q=1']);
  assert.equal(table(route({})).match(get('/v1/books/7/more'), 0, null), null);
  assert.deepEqual(errorPaths(route({ ...rewrite, prefix_rewrite: '/x' })), ['virtual_hosts[0].routes[0].route.path_rewrite_policy']);
  assert.deepEqual(errorPaths(oneHost({ match: { prefix: '/' }, route: { cluster: 'c', ...rewrite } })), ['virtual_hosts[0].routes[0].route.path_rewrite_policy']);
  assert.deepEqual(errorPaths(route({ path_rewrite_policy: policy('rewrite', { path_template_rewrite: '/{other}' }) })), ['virtual_hosts[0].routes[0].route.path_rewrite_policy.typed_config.path_template_rewrite']);
});

test('fields may tell of the process, where somebody knows it', () => {
  const json = oneHost({ match: { prefix: '/' }, route: { cluster: 'c' }, request_headers_to_add: [{ header: { key: 'x-from', value: '%HOSTNAME% %ENVIRONMENT(ZONE)% %UNIQUE_ID%' } }] });
  const compiled = compileRouteTable(decode(json), undefined, { hostname: 'edge-1', environment: { ZONE: 'b' }, uniqueId: () => 'u1' });
  const matched = compiled.ok ? compiled.value.match(get('/'), 0, null) : null;
  assert.ok(matched);
  const request = get('/');
  applyHeaderOps(matched.requestHeaders, request.headers, new StreamInfo(unknownConnection, 0, 0));
  assert.equal(request.headers.get('x-from'), 'edge-1 b u1');
});

test('fields go out as the UTF-8 of their texts, what comes from other fields as it came', () => {
  const add = (key: string, value: Record<string, string>) => ({ header: { key, ...value } });
  const json = oneHost({ match: { prefix: '/' }, route: { cluster: 'c' }, request_headers_to_add: [
    add('x-plain', { value: 'café' }), add('x-mixed', { value: 'né %DYNAMIC_METADATA(jwt:sub)% %REQ(x-told)%' }), add('x-raw', { raw_value: Buffer.from([0xe9]).toString('base64') }),
  ] });
  const matched = table(json).match(get('/'), 0, null);
  assert.ok(matched);
  const info = new StreamInfo(unknownConnection, 0, 0);
  info.setMetadata('jwt', 'sub', 'José');
  info.request = get('/', { 'x-told': 'caf\xc3\xa9 \xe9' });
  applyHeaderOps(matched.requestHeaders, info.request.headers, info);
  const told = (name: string) => info.request?.headers.get(name);
  assert.deepEqual([told('x-plain'), told('x-mixed'), told('x-raw')], ['caf\xc3\xa9', 'n\xc3\xa9 Jos\xc3\xa9 caf\xc3\xa9 \xe9', '\xe9']);
});

test('redirects build their location', () => {
  for (const [redirect, path, authority, expected] of [
    [{ https_redirect: true }, '/a?b', 'x.com:80', 'https://x.com/a?b'], [{ host_redirect: 'y.com' }, '/a', 'x.com', 'http://y.com/a'],
    [{ port_redirect: 8443, scheme_redirect: 'https' }, '/a', 'x.com:80', 'https://x.com:8443/a'], [{ path_redirect: '/new' }, '/a?b=1', 'x.com', 'http://x.com/new?b=1'],
    [{ path_redirect: '/new?z', strip_query: false }, '/a?b=1', 'x.com', 'http://x.com/new?z'], [{ prefix_rewrite: '/n' }, '/a/c?b=1', 'x.com', 'http://x.com/n/c?b=1'],
    [{ path_redirect: '/new', strip_query: true }, '/a?b=1', 'x.com', 'http://x.com/new'],
    [{ regex_rewrite: { pattern: { regex: '/a(.*)' }, substitution: '/z\\1' } }, '/abc', 'x.com', 'http://x.com/zbc'],
  ] as const) {
    const request = get(path, {}, authority);
    const match = table(oneHost({ match: { prefix: '/a' }, redirect })).match(request, 0, null);
    assert.ok(match?.action.kind === 'redirect');
    assert.equal(redirectLocation(match.action, request), expected);
  }
});

test('require_tls answers plaintext with a redirect', () => {
  const routes = table({ virtual_hosts: [{ name: 'v', domains: ['*'], require_tls: 'ALL', routes: [to('c')] }] });
  assert.equal(routes.match(get('/'), 0, null)?.action.kind, 'redirect');
  assert.equal(clusterFor(routes, get('/', { 'x-forwarded-proto': 'https' })), 'c');
});

test('header operations run from the weighted cluster out, removals first, substitutions filled in', () => {
  const add = (value: string, append_action = 'APPEND_IF_EXISTS_OR_ADD') => [{ header: { key: 'X-L', value }, append_action }];
  const config = (mostSpecific: boolean) => ({
    most_specific_header_mutations_wins: mostSpecific, request_headers_to_add: add('table'),
    virtual_hosts: [{ name: 'v', domains: ['*'], request_headers_to_add: add('%REQ(:path)%'), request_headers_to_remove: ['x-gone'], routes: [{
      match: { prefix: '/' }, request_headers_to_add: [...add('route'), { header: { key: 'x-empty', value: '%REQ(none)%' } }],
      route: { weighted_clusters: { clusters: [{ name: 'c', weight: 1, request_headers_to_add: add('cluster', 'OVERWRITE_IF_EXISTS_OR_ADD') }] } },
    }] }],
  });
  const run = (mostSpecific: boolean) => {
    const request = get('/p', { 'x-l': 'client', 'x-gone': '1' });
    const info = new StreamInfo(unknownConnection, 0, 0);
    info.request = request;
    applyHeaderOps(table(config(mostSpecific)).match(request, 0, null)?.requestHeaders ?? [], request.headers, info);
    return [...request.headers].map((pair) => pair.join('='));
  };
  assert.deepEqual(run(false), ['x-l=cluster', 'x-l=route', 'x-l=/p', 'x-l=table']);
  assert.deepEqual(run(true), ['x-l=cluster']);
});

test('timeouts and retries have Envoy\'s defaults', () => {
  const action = forward(table(oneHost({ match: { prefix: '/' }, route: { cluster: 'c', retry_policy: { retry_on: '5xx, connect-failure,nope' } } })).match(get('/'), 0, null));
  assert.equal(action.timeoutMs, 15_000);
  assert.equal(action.retry?.on, RetryOn['5xx'] | RetryOn['connect-failure']);
  assert.deepEqual([action.retry?.numRetries, action.retry?.backoffBaseMs, action.retry?.backoffMaxMs], [1, 25, 250]);
  assert.equal(forward(table(oneHost({ match: { prefix: '/' }, route: { cluster: 'c', timeout: '0s' } })).match(get('/'), 0, null)).timeoutMs, 0);
});

test('what cannot be done is refused by its path, what only tunes is warned of', () => {
  assert.deepEqual(errorPaths(oneHost(
    { match: { prefix: '/' }, route: { cluster: 'c', internal_redirect_policy: { predicates: [{ name: 'a' }] } } },
    { match: { prefix: '/', headers: [{ name: '' }] }, route: {} },
    { match: { prefix: '/' }, direct_response: { status: 200, body: { filename: '/etc/passwd' } } },
    { match: { prefix: '/' }, route: { weighted_clusters: { clusters: [{ name: 'a' }] } }, request_headers_to_add: [{ header: { key: 'host', value: 'x' } }] },
    { match: { prefix: '/' }, route: { cluster: 'c', retry_policy: { retry_priority: { name: 'other' } } } },
    { match: { prefix: '/' }, route: { cluster: 'c' }, response_headers_to_add: [{ header: { key: 'x', value: '%NOPE%' } }] },
  )), [
    'virtual_hosts[0].routes[0].route.internal_redirect_policy.predicates[0]',
    'virtual_hosts[0].routes[1].match.headers[0].name', 'virtual_hosts[0].routes[1].route',
    'virtual_hosts[0].routes[2].direct_response.body',
    'virtual_hosts[0].routes[3].request_headers_to_add[0].header.key', 'virtual_hosts[0].routes[3].route.weighted_clusters',
    'virtual_hosts[0].routes[4].route.retry_policy.retry_priority',
    'virtual_hosts[0].routes[5].response_headers_to_add[0].header.value',
  ]);
  const warned = table({ virtual_hosts: [{ name: 'v', domains: ['*'], routes: [{ ...to('c'), route: { cluster: 'c', hedge_policy: { additional_request_chance: { numerator: 1 } } } }] }] });
  assert.deepEqual(warned.warnings.map((warning) => warning.path), ['virtual_hosts[0].routes[0].route.hedge_policy.additional_request_chance']);
});

test('a direct response keeps its body and the size limit', () => {
  const match = table(oneHost({ match: { prefix: '/' }, direct_response: { status: 418, body: { inline_string: 'tea' } } })).match(get('/'), 0, null);
  assert.ok(match?.action.kind === 'direct');
  assert.deepEqual([match.action.status, String(match.action.body)], [418, 'tea']);
  assert.equal(errorPaths(oneHost({ match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'x'.repeat(5000) } } })).length, 1);
});

test('the most specific filter settings win', () => {
  const any = (value: string) => ({ '@type': 'type.googleapis.com/google.protobuf.StringValue', value });
  const routes = compileRouteTable(decode({
    typed_per_filter_config: { f: any('table'), g: any('table') },
    virtual_hosts: [{ name: 'v', domains: ['*'], typed_per_filter_config: { f: any('host') }, routes: [
      { ...to('c'), typed_per_filter_config: { g: { '@type': 'type.googleapis.com/envoy.config.route.v3.FilterConfig', disabled: true } } },
    ] }],
  }), (_name, { value }) => ({ ok: true, value: value.subarray(2).toString() }));
  assert.ok(routes.ok);
  const perFilter = routes.value.match(get('/'), 0, null)?.perFilter;
  assert.deepEqual(perFilter?.get('f'), { disabled: false, config: 'host', levels: ['host', 'table'] });
  assert.deepEqual(perFilter?.get('g'), { disabled: true, config: null, levels: ['table'] });
});

test('no decoded bytes make the compiler throw, no request the table', () => {
  const seed = jsonToBinary('envoy.config.route.v3.RouteConfiguration', oneHost({ match: { safe_regex: { regex: 'a.*' } }, route: { cluster: 'c', regex_rewrite: { pattern: { regex: 'a' }, substitution: 'b' } } }));
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(seed.length - 1), fc.nat(255)), { maxLength: 6 }), fc.string({ unit: 'binary' }), fc.string(), (flips, path, authority) => {
    const bytes = Buffer.from(seed);
    for (const [at, value] of flips) bytes[at] = value;
    let message: RouteConfiguration;
    try {
      message = RouteConfiguration.decode(bytes);
    } catch {
      return;
    }
    const compiled = compileRouteTable(message);
    if (compiled.ok) compiled.value.match(get(path, {}, authority), 0.5, null);
  }), { numRuns: 300 });
});

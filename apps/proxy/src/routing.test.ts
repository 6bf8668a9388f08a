import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, httpListener, route, type Json } from './testing/bootstrap.ts';
import { request, type Reply, type Request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

let apps: Backend[];
let proxy: RunningProxy;

/** A route whose answer is its name. */
const named = (name: string, match: Json): Json => ({ match, direct_response: { status: 200, body: { inline_string: name } } });
const get = (host: string, path: string, more: Request = {}): Promise<Reply> => request(proxy.port('web'), { path, ...more, headers: { host, ...more.headers } });

const paths = [
  named('exact', { path: '/exact' }),
  named('no-case', { path: '/nocase', case_sensitive: false }),
  named('regex', { safe_regex: { regex: '/v[0-9]+/.*' } }),
  named('separated', { path_separated_prefix: '/api' }),
  named('prefix', { prefix: '/pre' }),
];

const headerRoute = (name: string, header: Json) => named(name, { prefix: `/${name}`, headers: [header] });
const headers = [
  headerRoute('exact', { name: 'X-Test', string_match: { exact: 'one' } }),
  headerRoute('exact-case', { name: 'x-test', string_match: { exact: 'one', ignore_case: true } }),
  headerRoute('prefix', { name: 'x-test', string_match: { prefix: 'on' } }),
  headerRoute('suffix', { name: 'x-test', string_match: { suffix: 'ne' } }),
  headerRoute('contains', { name: 'x-test', string_match: { contains: 'n' } }),
  headerRoute('regex', { name: 'x-test', string_match: { safe_regex: { regex: 'o.e' } } }),
  headerRoute('present', { name: 'x-test', present_match: true }),
  headerRoute('absent', { name: 'x-test', present_match: false }),
  headerRoute('inverted', { name: 'x-test', present_match: true, invert_match: true }),
  headerRoute('not-one', { name: 'x-test', string_match: { exact: 'one' }, invert_match: true }),
  headerRoute('range', { name: 'x-test', range_match: { start: 10, end: 20 } }),
  headerRoute('missing-empty', { name: 'x-test', string_match: { exact: '' }, treat_missing_header_as_empty: true }),
  headerRoute('old-exact', { name: 'x-test', exact_match: 'one' }),
  headerRoute('old-regex', { name: 'x-test', safe_regex_match: { regex: 'o.*' } }),
  headerRoute('method', { name: ':method', string_match: { exact: 'POST' } }),
  headerRoute('authority', { name: ':authority', string_match: { exact: 'headers' } }),
  headerRoute('scheme', { name: ':scheme', string_match: { exact: 'http' } }),
  headerRoute('path', { name: ':path', string_match: { exact: '/path?q' } }),
];

const queries = [
  named('exact', { prefix: '/', query_parameters: [{ name: 'a', string_match: { exact: '1' } }] }),
  named('present', { prefix: '/', query_parameters: [{ name: 'b', present_match: true }] }),
  named('regex', { prefix: '/', query_parameters: [{ name: 'c', string_match: { safe_regex: { regex: '[0-9]+' } } }] }),
];

const redirect = (prefix: string, action: Json): Json => ({ match: { prefix }, redirect: action });
const redirects = [
  redirect('/https', { https_redirect: true }),
  redirect('/scheme', { scheme_redirect: 'ftp' }),
  redirect('/host', { host_redirect: 'other.example' }),
  redirect('/port', { port_redirect: 8443 }),
  redirect('/path', { path_redirect: '/new', response_code: 'FOUND' }),
  redirect('/pathquery', { path_redirect: '/new?x=1', response_code: 'SEE_OTHER' }),
  redirect('/prefix', { prefix_rewrite: '/swapped', response_code: 'TEMPORARY_REDIRECT' }),
  redirect('/regex', { regex_rewrite: { pattern: { regex: '^/regex/(.*)$' }, substitution: '/r/\\1' }, response_code: 'PERMANENT_REDIRECT' }),
  redirect('/strip', { path_redirect: '/s', strip_query: true }),
  redirect('/both', { https_redirect: true, host_redirect: 'h', port_redirect: 444, path_redirect: '/p' }),
].toSorted((a, b) => JSON.stringify(b).length - JSON.stringify(a).length);

const direct: Json[] = [
  { match: { path: '/teapot' }, direct_response: { status: 418, body: { inline_string: 'short and stout' } } },
  { match: { path: '/empty' }, direct_response: { status: 204 } },
  { match: { path: '/bytes' }, direct_response: { status: 200, body: { inline_bytes: Buffer.from('bytes').toString('base64') } }, response_headers_to_add: [{ header: { key: 'content-type', value: 'x/y' }, append_action: 'OVERWRITE_IF_EXISTS_OR_ADD' }] },
];

const rewrites = [
  route({ prefix: '/prefix/' }, { cluster: 'a', prefix_rewrite: '/new/' }),
  route({ path: '/exact' }, { cluster: 'a', prefix_rewrite: '/whole' }),
  route({ path_separated_prefix: '/sep' }, { cluster: 'a', prefix_rewrite: '/dash' }),
  route({ prefix: '/regex' }, { cluster: 'a', regex_rewrite: { pattern: { regex: '^/regex/([^/]+)/(.*)$' }, substitution: '/\\2/by/\\1' } }),
  route({ prefix: '/literal' }, { cluster: 'a', host_rewrite_literal: 'literal.example', append_x_forwarded_host: true }),
  route({ prefix: '/header' }, { cluster: 'a', host_rewrite_header: 'x-new-host' }),
  route({ prefix: '/auto' }, { cluster: 'dns', auto_host_rewrite: true }),
  route({ prefix: '/hostregex' }, { cluster: 'a', host_rewrite_path_regex: { pattern: { regex: '^/hostregex/(.+)$' }, substitution: '\\1.example' } }),
];

const weighted = (weights: Json) => route({ prefix: '/' }, { weighted_clusters: weights });
const virtualHosts: Json[] = [
  { name: 'paths', domains: ['paths'], routes: paths },
  { name: 'headers', domains: ['headers'], routes: headers },
  { name: 'queries', domains: ['queries'], routes: queries },
  { name: 'redirects', domains: ['redirects', 'redirects:80'], routes: redirects },
  { name: 'direct', domains: ['direct'], routes: direct },
  { name: 'rewrites', domains: ['rewrites'], routes: rewrites },
  { name: 'domain-exact', domains: ['www.example.com'], routes: [named('exact', { prefix: '/' })] },
  { name: 'domain-suffix-long', domains: ['*.www.example.com', '*-x.example.com'], routes: [named('suffix-long', { prefix: '/' })] },
  { name: 'domain-suffix', domains: ['*.example.com'], routes: [named('suffix', { prefix: '/' })] },
  { name: 'domain-prefix', domains: ['www.example.*'], routes: [named('prefix', { prefix: '/' })] },
  { name: 'weights', domains: ['weights'], routes: [weighted({ clusters: [{ name: 'a', weight: 75 }, { name: 'b', weight: 25 }, { name: 'c', weight: 0 }] })] },
  { name: 'weight-headers', domains: ['weight-headers'], routes: [weighted({ clusters: [{ name: 'a', weight: 1, request_headers_to_add: [{ header: { key: 'x-chosen', value: 'a' } }], response_headers_to_remove: ['x-backend'], host_rewrite_literal: 'by-weight' }] })] },
  {
    name: 'clusters', domains: ['clusters'], routes: [
      route({ prefix: '/by-header' }, { cluster_header: 'x-cluster' }),
      route({ prefix: '/missing' }, { cluster: 'nobody' }),
      route({ prefix: '/not-found' }, { cluster: 'nobody', cluster_not_found_response_code: 'NOT_FOUND' }),
      { match: { prefix: '/nowhere' }, non_forwarding_action: {} },
      route({ prefix: '/half', runtime_fraction: { default_value: { numerator: 50, denominator: 'HUNDRED' } } }, 'a'),
      route({ prefix: '/half' }, 'b'),
      route({ prefix: '/grpc', grpc: {} }, 'a'),
      route({ prefix: '/grpc' }, 'b'),
    ],
  },
  { name: 'tls-only', domains: ['tls-only'], require_tls: 'ALL', routes: [named('secret', { prefix: '/' })] },
  { name: 'tls-external', domains: ['tls-external'], require_tls: 'EXTERNAL_ONLY', routes: [named('inside', { prefix: '/' })] },
];

before(async () => {
  apps = await Promise.all(['a', 'b', 'c'].map((name) => backend(name)));
  const port = (i: number) => apps[i]?.port ?? 0;
  const dns = cluster('dns', [{ endpoint: { hostname: 'given.example', address: { socket_address: { address: '127.0.0.1', port_value: port(0) } } } }]);
  const withDefault = [...virtualHosts, { name: 'default', domains: ['*'], routes: [named('default', { prefix: '/' })] }];
  proxy = await startProxy(bootstrap([
    httpListener({ virtualHosts: withDefault, hcm: { internal_address_config: { cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] } } }),
    httpListener({ name: 'closed', virtualHosts: [{ name: 'one', domains: ['one.example'], routes: [named('one', { prefix: '/only' })] }] }),
    httpListener({ name: 'ports', routeConfig: { ignore_port_in_host_matching: true }, virtualHosts: [{ name: 'one', domains: ['one.example'], routes: [named('one', { prefix: '/' })] }] }),
  ], [cluster('a', [port(0)]), cluster('b', [port(1)]), cluster('c', [port(2)]), dns]), { yaml: true });
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all(apps.map((app) => app.stop()));
});

describe('paths', () => {
  const expect = async (path: string, name: string) => assert.equal((await get('paths', path)).body, name, path);
  test('an exact path matches itself, with any query', async () => {
    await expect('/exact', 'exact');
    await expect('/exact?a=b', 'exact');
    assert.equal((await get('paths', '/exact/')).status, 404);
    assert.equal((await get('paths', '/Exact')).status, 404);
  });
  test('case_sensitive: false ignores case', () => expect('/NoCase', 'no-case'));
  test('safe_regex matches the whole path without the query', async () => {
    await expect('/v12/x?y', 'regex');
    assert.equal((await get('paths', '/xx/v12/x')).status, 404);
  });
  test('path_separated_prefix matches at a slash, prefix anywhere', async () => {
    await expect('/api', 'separated');
    await expect('/api/x', 'separated');
    assert.equal((await get('paths', '/apix')).status, 404);
    await expect('/prefixed', 'prefix');
  });
});

describe('header matches', () => {
  const matches = async (name: string, sent: Record<string, string | string[]>, more: Request = {}) => (await request(proxy.port('web'), { path: `/${name}`, ...more, headers: { host: 'headers', ...sent } })).status === 200;
  const one = { 'x-test': 'one' };
  const cases: [string, Record<string, string | string[]>, boolean][] = [
    ['exact', one, true], ['exact', { 'x-test': 'One' }, false], ['exact', {}, false], ['exact', { 'x-test': ['one', 'one'] }, false],
    ['exact-case', { 'x-test': 'ONE' }, true], ['prefix', one, true], ['prefix', { 'x-test': 'no' }, false], ['suffix', one, true], ['suffix', { 'x-test': 'neo' }, false],
    ['contains', one, true], ['regex', one, true], ['regex', { 'x-test': 'one more' }, false], ['present', { 'x-test': '' }, true], ['present', {}, false],
    ['absent', {}, true], ['absent', one, false], ['inverted', {}, true], ['inverted', one, false], ['not-one', { 'x-test': 'two' }, true], ['not-one', one, false], ['not-one', {}, false],
    ['range', { 'x-test': '10' }, true], ['range', { 'x-test': '20' }, false], ['range', { 'x-test': 'ten' }, false], ['range', { 'x-test': '15.5' }, false],
    ['missing-empty', {}, true], ['old-exact', one, true], ['old-regex', one, true], ['authority', {}, true], ['scheme', {}, true],
  ];
  for (const [name, sent, expected] of cases) test(`${name} ${JSON.stringify(sent)}: ${expected ? 'matches' : 'does not match'}`, async () => assert.equal(await matches(name, sent), expected));
  test('pseudo headers: method and path', async () => {
    assert.equal(await matches('method', {}, { method: 'POST' }), true);
    assert.equal(await matches('method', {}), false);
    assert.equal(await matches('path', {}, { path: '/path?q' }), true);
  });
});

test('query parameters: exact, present, regex', async () => {
  assert.equal((await get('queries', '/?a=1&z')).body, 'exact');
  assert.equal((await get('queries', '/?a=2&b=')).body, 'present');
  assert.equal((await get('queries', '/?c=42')).body, 'regex');
  assert.equal((await get('queries', '/?c=x')).status, 404);
  assert.equal((await get('queries', '/')).status, 404);
});

describe('redirects', () => {
  const cases: [string, number, string, string?][] = [
    ['/https/x?q=1', 301, 'https://redirects/https/x?q=1'],
    ['/https/x', 301, 'https://redirects/https/x', 'redirects:80'],
    ['/scheme', 301, 'ftp://redirects/scheme'],
    ['/host/a?b', 301, 'http://other.example/host/a?b'],
    ['/port', 301, 'http://redirects:8443/port'],
    ['/path?keep=1', 302, 'http://redirects/new?keep=1'],
    ['/pathquery?gone=1', 303, 'http://redirects/new?x=1'],
    ['/prefix/tail?q', 307, 'http://redirects/swapped/tail?q'],
    ['/regex/it', 308, 'http://redirects/r/it'],
    ['/strip?q=1', 301, 'http://redirects/s'],
    ['/both', 301, 'https://h:444/p'],
  ];
  for (const [path, status, location, host] of cases)
    test(`${path} → ${status} ${location}`, async () => {
      const reply = await get(host ?? 'redirects', path);
      assert.equal(reply.headers.location, location);
      assert.equal(reply.status, status);
      assert.equal(reply.body, '');
    });
});

test('direct responses: status, body, no body, own headers', async () => {
  const teapot = await get('direct', '/teapot');
  assert.equal(teapot.status, 418);
  assert.equal(teapot.body, 'short and stout');
  assert.equal(teapot.headers['content-type'], 'text/plain');
  assert.equal(teapot.headers.server, 'envoy');
  assert.ok(teapot.headers.date);
  const empty = await get('direct', '/empty');
  assert.equal(empty.status, 204);
  assert.equal(empty.headers['content-length'], undefined);
  const bytes = await get('direct', '/bytes');
  assert.equal(bytes.body, 'bytes');
  assert.equal(bytes.headers['content-type'], 'x/y');
  assert.equal((await get('direct', '/teapot', { method: 'HEAD' })).headers['content-length'], '15');
});

describe('rewrites', () => {
  test('prefix_rewrite swaps the prefix, keeps the query, remembers the original path', async () => {
    const { url, headers } = (await get('rewrites', '/prefix/x/y?q=1')).seen();
    assert.equal(url, '/new/x/y?q=1');
    assert.equal(headers['x-envoy-original-path'], '/prefix/x/y?q=1');
  });
  test('an exact match is replaced whole', async () => assert.equal((await get('rewrites', '/exact?q')).seen().url, '/whole?q'));
  test('a separated prefix is swapped', async () => assert.equal((await get('rewrites', '/sep/x')).seen().url, '/dash/x'));
  test('regex_rewrite uses captures', async () => assert.equal((await get('rewrites', '/regex/a/b/c?q')).seen().url, '/b/c/by/a?q'));
  test('host_rewrite_literal, with x-forwarded-host', async () => {
    const { headers } = (await get('rewrites', '/literal')).seen();
    assert.equal(headers['host'], 'literal.example');
    assert.equal(headers['x-forwarded-host'], 'rewrites');
  });
  test('host_rewrite_header, and nothing without the header', async () => {
    assert.equal((await get('rewrites', '/header', { headers: { 'x-new-host': 'from-header' } })).seen().headers['host'], 'from-header');
    assert.equal((await get('rewrites', '/header')).seen().headers['host'], 'rewrites');
  });
  test('auto_host_rewrite takes the endpoint\'s hostname', async () => assert.equal((await get('rewrites', '/auto')).seen().headers['host'], 'given.example'));
  test('host_rewrite_path_regex', async () => assert.equal((await get('rewrites', '/hostregex/abc?q')).seen().headers['host'], 'abc.example'));
});

test('virtual hosts: exact before the longest suffix before prefix before *', async () => {
  const cases: Record<string, string> = {
    'www.example.com': 'exact', 'WWW.Example.com': 'exact', 'a.www.example.com': 'suffix-long', 'b-x.example.com': 'suffix-long', 'b.example.com': 'suffix', 'example.com': 'default',
    'www.example.org': 'prefix', 'nobody.test': 'default', 'www.example.com:8080': 'prefix',
  };
  for (const [host, name] of Object.entries(cases)) assert.equal((await get(host, '/')).body, name, host);
});

test('without a route or a virtual host the answer is an empty 404', async () => {
  for (const [host, path] of [['one.example', '/other'], ['two.example', '/only']] as const) {
    const reply = await request(proxy.port('closed'), { path, headers: { host } });
    assert.equal(reply.status, 404);
    assert.equal(reply.body, '');
  }
  assert.equal((await request(proxy.port('closed'), { path: '/only', headers: { host: 'one.example' } })).body, 'one');
  assert.equal((await request(proxy.port('ports'), { headers: { host: 'one.example:1234' } })).body, 'one');
});

test('weighted clusters share the requests by weight', async () => {
  const agent = new (await import('node:http')).Agent({ keepAlive: true, maxSockets: 8 });
  const replies = await Promise.all(Array.from({ length: 400 }, () => get('weights', '/', { agent })));
  agent.destroy();
  const count = (name: string) => replies.filter((reply) => reply.headers['x-backend'] === name).length;
  assert.equal(count('a') + count('b'), 400);
  assert.ok(count('a') > 255 && count('a') < 345, `a got ${count('a')} of 400`);
});

test('a weighted cluster has header changes and a host of its own', async () => {
  const reply = await get('weight-headers', '/');
  assert.equal(reply.seen().headers['x-chosen'], 'a');
  assert.equal(reply.seen().headers['host'], 'by-weight');
  assert.equal(reply.headers['x-backend'], undefined);
});

test('cluster_header, unknown clusters, non-forwarding routes', async () => {
  assert.equal((await get('clusters', '/by-header', { headers: { 'x-cluster': 'b' } })).seen().backend, 'b');
  assert.equal((await get('clusters', '/by-header')).status, 503);
  assert.equal((await get('clusters', '/missing')).status, 503);
  assert.equal((await get('clusters', '/not-found')).status, 404);
  assert.notEqual((await get('clusters', '/nowhere')).status, 200);
});

test('runtime_fraction takes about its part; grpc looks at the content type', async () => {
  const replies = await Promise.all(Array.from({ length: 100 }, () => get('clusters', '/half')));
  const a = replies.filter((reply) => reply.headers['x-backend'] === 'a').length;
  assert.ok(a > 25 && a < 75, `${a} of 100`);
  assert.equal((await get('clusters', '/grpc', { headers: { 'content-type': 'application/grpc+proto' } })).headers['x-backend'], 'a');
  assert.equal((await get('clusters', '/grpc', { headers: { 'content-type': 'application/grpcx' } })).headers['x-backend'], 'b');
});

test('require_tls answers plaintext with a redirect to https', async () => {
  const reply = await get('tls-only', '/x?y');
  assert.equal(reply.status, 301);
  assert.equal(reply.headers.location, 'https://tls-only/x?y');
  assert.equal((await get('tls-external', '/', { headers: { 'x-forwarded-for': '8.8.8.8' } })).status, 301);
  assert.equal((await get('tls-external', '/', { headers: { 'x-forwarded-for': '10.0.0.1' } })).body, 'inside', 'an address that the listener calls internal');
  assert.equal((await get('tls-only', '/', { headers: { 'x-forwarded-proto': 'https' } })).body, 'secret');
});

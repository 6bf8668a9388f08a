import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, httpListener, route, type Json } from './testing/bootstrap.ts';
import { exchange, request, type Reply, type Request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

let app: Backend;
let proxy: RunningProxy;

const add = (key: string, value: string, action?: string): Json => ({ header: { key, value }, ...(action === undefined ? {} : { append_action: action }) });
const all = [route({ prefix: '/' }, 'app')];

const levels: Json = {
  name: 'levels', domains: ['levels'], request_headers_to_add: [add('x-order', 'vhost')], request_headers_to_remove: ['x-vhost-drop'], response_headers_to_add: [add('x-order', 'vhost')], response_headers_to_remove: ['x-backend'],
  routes: [{
    ...route({ prefix: '/' }, { weighted_clusters: { clusters: [{ name: 'app', weight: 1, request_headers_to_add: [add('x-order', 'cluster')], response_headers_to_add: [add('x-order', 'cluster')] }] } }),
    request_headers_to_add: [add('x-order', 'route'), add('x-cluster-name', '%UPSTREAM_HOST%|%REQ(:METHOD)%|%REQ(x-absent)%|%REQ(x-absent?x-test):3%|%PROTOCOL%|100%%')], request_headers_to_remove: ['x-route-drop'],
    response_headers_to_add: [add('x-order', 'route'), add('x-code', '%RESPONSE_CODE%'), add('x-route', '%ROUTE_NAME%'), add('x-peer', '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'), add('x-time', '%START_TIME(%Y)%'), add('x-host', '%UPSTREAM_HOST%')], name: 'levels-route',
  }],
};
const actions: Json = {
  name: 'actions', domains: ['actions'], routes: [{
    ...route({ prefix: '/' }, 'app'),
    request_headers_to_add: [
      add('x-append', 'new', 'APPEND_IF_EXISTS_OR_ADD'), add('x-absent', 'new', 'ADD_IF_ABSENT'), add('x-over', 'new', 'OVERWRITE_IF_EXISTS_OR_ADD'), add('x-exists', 'new', 'OVERWRITE_IF_EXISTS'),
      { header: { key: 'x-old-overwrite', value: 'new' }, append: false }, { header: { key: 'x-empty', value: '%REQ(x-none)%' } }, { header: { key: 'x-keep-empty', value: '' }, keep_empty_value: true },
    ],
  }],
};

const variants: Record<string, Json> = {
  web: { internal_address_config: { cidr_ranges: [{ address_prefix: '10.0.0.0', prefix_len: 8 }] } },
  edge: { use_remote_address: true },
  hops: { use_remote_address: true, xff_num_trusted_hops: 1 },
  inner: { xff_num_trusted_hops: 1 },
  skip: { use_remote_address: true, skip_xff_append: true, append_x_forwarded_port: true },
  names: { server_name: 'mine', via: 'proxy-1', add_user_agent: true, always_set_request_id_in_response: true },
  absent: { server_header_transformation: 'APPEND_IF_ABSENT', generate_request_id: false },
  through: { server_header_transformation: 'PASS_THROUGH', preserve_external_request_id: true, use_remote_address: true },
  normal: { normalize_path: true, merge_slashes: true },
  reject: { path_with_escaped_slashes_action: 'REJECT_REQUEST', common_http_protocol_options: { headers_with_underscores_action: 'REJECT_REQUEST' } },
  unescape: { path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT', common_http_protocol_options: { headers_with_underscores_action: 'DROP_HEADER' } },
  forward: { path_with_escaped_slashes_action: 'UNESCAPE_AND_FORWARD', strip_matching_host_port: true, strip_trailing_host_dot: true },
  strip: { strip_any_host_port: true, strip_trailing_host_dot: true, scheme_header_transformation: { scheme_to_overwrite: 'https' } },
  limits: { max_request_headers_kb: 1, common_http_protocol_options: { max_headers_count: 10, max_requests_per_connection: 2 } },
  case: { http_protocol_options: { header_key_format: { proper_case_words: {} } } },
  local: {
    local_reply_config: {
      mappers: [
        { filter: { status_code_filter: { comparison: { op: 'EQ', value: { default_value: 404, runtime_key: 'x' } } } }, status_code: 410, body: { inline_string: 'gone: %REQ(:PATH)%' }, headers_to_add: [add('x-mapped', '%RESPONSE_CODE%')] },
        { filter: { response_flag_filter: { flags: ['UF'] } }, body_format_override: { json_format: { error: '%LOCAL_REPLY_BODY%', code: '%RESPONSE_CODE%', flags: '%RESPONSE_FLAGS%' } } },
      ],
      body_format: { text_format_source: { inline_string: '%RESPONSE_CODE%/%LOCAL_REPLY_BODY%' }, content_type: 'text/html; charset=UTF-8' },
    },
    route_config: { name: 'r', virtual_hosts: [{ name: 'a', domains: ['*'], routes: [route({ prefix: '/dead' }, 'dead'), { match: { prefix: '/said' }, direct_response: { status: 200, body: { inline_string: 'said' } } }, { match: { prefix: '/nobody' }, route: { cluster: 'nobody' } }] }] },
  },
};

before(async () => {
  app = await backend('app', (incoming, response, seen) => {
    response.writeHead(200, { 'content-type': 'application/json', 'x-backend': 'app', server: 'backend', ...(incoming.url === '/dates' ? { date: 'Thu, 01 Jan 1970 00:00:00 GMT' } : {}) });
    response.end(JSON.stringify(seen));
  });
  const listeners = Object.entries(variants).map(([name, hcm]) => httpListener({ name, hcm, virtualHosts: [levels, actions, { name: 'all', domains: ['*'], routes: all }] }));
  proxy = await startProxy(bootstrap([
    ...listeners,
    httpListener({ name: 'specific', routeConfig: { most_specific_header_mutations_wins: true, request_headers_to_add: [add('x-who', 'table', 'OVERWRITE_IF_EXISTS_OR_ADD')] }, routes: [{ ...route({ prefix: '/' }, 'app'), request_headers_to_add: [add('x-who', 'route', 'OVERWRITE_IF_EXISTS_OR_ADD')] }] }),
    httpListener({ name: 'general', routeConfig: { request_headers_to_add: [add('x-who', 'table', 'OVERWRITE_IF_EXISTS_OR_ADD')] }, routes: [{ ...route({ prefix: '/' }, 'app'), request_headers_to_add: [add('x-who', 'route', 'OVERWRITE_IF_EXISTS_OR_ADD')] }] }),
  ], [cluster('app', [app.port]), cluster('dead', [1])]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await app.stop();
});

const ask = (listener: string, more: Request = {}): Promise<Reply> => request(proxy.port(listener), more);
const upstream = async (listener: string, more: Request = {}) => (await ask(listener, more)).seen().headers;
/** Values of a header as the backend got them, in order. */
const sent = (reply: Reply, name: string) => reply.seen().rawHeaders.flatMap((each, i, raw) => (i % 2 === 0 && each.toLowerCase() === name ? [raw[i + 1] ?? ''] : []));

describe('header changes', () => {
  test('are applied from the most to the least specific level, and removed ones are gone', async () => {
    const reply = await ask('web', { headers: { host: 'levels', 'x-vhost-drop': '1', 'x-route-drop': '1', 'x-test': 'abcdef' } });
    assert.deepEqual(sent(reply, 'x-order'), ['cluster', 'route', 'vhost']);
    const { headers } = reply.seen();
    assert.equal(headers['x-vhost-drop'], undefined);
    assert.equal(headers['x-route-drop'], undefined);
    assert.equal(reply.headers['x-order'], 'cluster, route, vhost');
    assert.equal(reply.headers['x-backend'], undefined);
  });
  test('formats: request fields, fallback and length, code, route, peer, time, host', async () => {
    const reply = await ask('web', { headers: { host: 'levels', 'x-test': 'abcdef' } });
    assert.match(reply.seen().headers['x-cluster-name'] ?? '', /\|GET\|-?\|abc\|HTTP\/1\.1\|100%$/);
    assert.equal(reply.headers['x-code'], '200');
    assert.equal(reply.headers['x-route'], 'levels-route');
    assert.equal(reply.headers['x-peer'], '127.0.0.1');
    assert.equal(reply.headers['x-time'], String(new Date().getUTCFullYear()));
    assert.equal(reply.headers['x-host'], `127.0.0.1:${app.port}`);
  });
  test('every append_action does what it is called', async () => {
    const old = { 'x-append': 'old', 'x-absent': 'old', 'x-over': 'old', 'x-exists': 'old', 'x-old-overwrite': 'old' };
    const reply = await ask('web', { headers: { host: 'actions', ...old } });
    assert.deepEqual(sent(reply, 'x-append'), ['old', 'new']);
    assert.deepEqual(sent(reply, 'x-absent'), ['old']);
    assert.deepEqual(sent(reply, 'x-over'), ['new']);
    assert.deepEqual(sent(reply, 'x-exists'), ['new']);
    assert.deepEqual(sent(reply, 'x-old-overwrite'), ['new']);
    const fresh = await ask('web', { headers: { host: 'actions' } });
    assert.deepEqual(sent(fresh, 'x-absent'), ['new']);
    assert.deepEqual(sent(fresh, 'x-exists'), []);
    assert.deepEqual(sent(fresh, 'x-empty'), []);
    assert.deepEqual(sent(fresh, 'x-keep-empty'), ['']);
  });
  test('most_specific_header_mutations_wins turns the order round', async () => {
    assert.equal((await upstream('specific'))['x-who'], 'route');
    assert.equal((await upstream('general'))['x-who'], 'table');
  });
});

describe('forwarding headers', () => {
  test('inside: x-forwarded-for is left alone, x-forwarded-proto is set once, a request id is made', async () => {
    const plain = await upstream('web');
    assert.equal(plain['x-forwarded-for'], undefined);
    assert.equal(plain['x-forwarded-proto'], 'http');
    assert.match(plain['x-request-id'] ?? '', /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    const given = await upstream('web', { headers: { 'x-forwarded-for': '10.1.1.1', 'x-forwarded-proto': 'https', 'x-request-id': 'mine' } });
    assert.equal(given['x-forwarded-for'], '10.1.1.1');
    assert.equal(given['x-forwarded-proto'], 'https');
    assert.equal(given['x-request-id'], 'mine');
    assert.equal(given['x-envoy-internal'], 'true');
  });
  test('use_remote_address: the peer is appended, the scheme is ours', async () => {
    const headers = await upstream('edge', { headers: { 'x-forwarded-for': '8.8.8.8', 'x-forwarded-proto': 'https' } });
    assert.equal(headers['x-forwarded-for'], '8.8.8.8,127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(headers['x-envoy-internal'], undefined);
    assert.equal(headers['x-envoy-external-address'], '127.0.0.1');
  });
  test('xff_num_trusted_hops with use_remote_address trusts the proxy before us', async () => {
    const headers = await upstream('hops', { headers: { 'x-forwarded-for': '1.1.1.1,8.8.8.8', 'x-forwarded-proto': 'https' } });
    assert.equal(headers['x-envoy-external-address'], '8.8.8.8');
    assert.equal(headers['x-forwarded-for'], '1.1.1.1,8.8.8.8,127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'https');
  });
  test('skip_xff_append and append_x_forwarded_port', async () => {
    const headers = await upstream('skip', { headers: { 'x-forwarded-for': '8.8.8.8' } });
    assert.equal(headers['x-forwarded-for'], '8.8.8.8');
    assert.equal(headers['x-forwarded-port'], String(proxy.port('skip')));
  });
  test('what only callers inside may say is dropped when it comes from outside', async () => {
    const forged = { 'x-envoy-retry-on': '5xx', 'x-envoy-upstream-rq-timeout-ms': '1', 'x-envoy-internal': 'true', 'x-envoy-external-address': '6.6.6.6', 'x-envoy-original-dst-host': '10.0.0.1:22' };
    const headers = await upstream('edge', { headers: { ...forged, 'x-forwarded-for': '8.8.8.8' } });
    for (const name of ['x-envoy-retry-on', 'x-envoy-upstream-rq-timeout-ms', 'x-envoy-internal', 'x-envoy-original-dst-host']) assert.equal(headers[name], undefined, name);
    assert.equal(headers['x-envoy-external-address'], '127.0.0.1');
  });
  test('an external request id is replaced at the edge, kept with preserve_external_request_id', async () => {
    const external = { 'x-forwarded-for': '8.8.8.8', 'x-request-id': 'theirs' };
    assert.notEqual((await upstream('edge', { headers: external }))['x-request-id'], 'theirs');
    assert.equal((await upstream('through', { headers: external }))['x-request-id'], 'theirs');
    assert.equal((await upstream('absent'))['x-request-id'], undefined);
    const shown = await ask('names');
    assert.equal(shown.headers['x-request-id'], shown.seen().headers['x-request-id']);
  });
});

test('server and date: overwritten, appended if absent, or passed through; via and user agent are added', async () => {
  assert.equal((await ask('web')).headers.server, 'envoy');
  assert.equal((await ask('names')).headers.server, 'mine');
  assert.equal((await ask('absent')).headers.server, 'backend');
  assert.equal((await ask('through')).headers.server, 'backend');
  assert.equal((await ask('names')).headers['via'], 'proxy-1');
  assert.equal((await upstream('names'))['via'], 'proxy-1');
  assert.equal((await ask('web', { path: '/dates' })).headers.date, 'Thu, 01 Jan 1970 00:00:00 GMT');
  assert.ok((await ask('web')).headers['x-envoy-upstream-service-time']);
});

test('add_user_agent names the service cluster when the client named nobody', async () => {
  const headers = await upstream('names');
  assert.equal(headers['user-agent'], 'tests');
  assert.equal(headers['x-envoy-downstream-service-cluster'], 'tests');
  assert.equal(headers['x-envoy-downstream-service-node'], 'test');
  assert.equal((await upstream('names', { headers: { 'user-agent': 'curl' } }))['user-agent'], 'curl');
});

describe('paths and hosts', () => {
  const url = async (listener: string, path: string) => {
    const reply = await ask(listener, { path });
    return reply.status === 200 ? reply.seen().url : `${reply.status} ${reply.headers.location ?? ''}`.trim();
  };
  test('are left alone unless asked', async () => assert.equal(await url('web', '/a/../b//c/%2e%2e/d'), '/a/../b//c/%2e%2e/d'));
  test('normalize_path and merge_slashes', async () => {
    assert.equal(await url('normal', '/a/../b//c/./d?x=//y'), '/b/c/d?x=//y');
    assert.equal(await url('normal', '/a/%2e%2e/b'), '/b');
    assert.equal(await url('normal', '/../../x'), '/x');
    assert.equal(await url('normal', '/a%2Fb'), '/a%2Fb');
  });
  test('escaped slashes: refused, redirected or unescaped', async () => {
    assert.equal(await url('reject', '/a%2fb'), '400');
    assert.equal(await url('reject', '/a%5Cb'), '400');
    assert.equal(await url('unescape', '/a%2Fb?q'), '307 /a/b?q');
    assert.equal(await url('forward', '/a%2Fb%5Cc'), '/a/b/c'.replace('/c', '\\c'));
  });
  test('a fragment has no place in a request', async () => {
    assert.match(await exchange(proxy.port('web'), 'GET /a#b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'), /^HTTP\/1.1 400 /);
  });
  test('strip ports and the dot of a host', async () => {
    const host = async (listener: string, name: string) => (await upstream(listener, { headers: { host: name } }))['host'];
    assert.equal(await host('strip', 'x.example:99'), 'x.example');
    assert.equal(await host('strip', 'x.example.'), 'x.example');
    assert.equal(await host('forward', `x.example:${proxy.port('forward')}`), 'x.example');
    assert.equal(await host('forward', 'x.example:99'), 'x.example:99');
    assert.equal(await host('forward', 'x.example.:99'), 'x.example:99', 'the dot before a port that stays');
    assert.equal(await host('forward', `x.example.:${proxy.port('forward')}`), 'x.example');
  });
});

test('underscores in header names: refused or dropped', async () => {
  assert.equal((await ask('reject', { headers: { under_score: '1' } })).status, 400);
  assert.equal((await upstream('unescape', { headers: { under_score: '1' } }))['under_score'], undefined);
  assert.equal((await upstream('web', { headers: { under_score: '1' } }))['under_score'], '1');
});

test('limits: header bytes 431, header count 431, requests per connection', async () => {
  assert.equal((await ask('limits', { headers: { 'x-big': 'x'.repeat(1100) } })).status, 431);
  assert.equal((await ask('limits', { headers: Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`x-${i}`, '1'])) })).status, 431);
  const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';
  const text = await exchange(proxy.port('limits'), get + get + get);
  assert.equal(text.match(/HTTP\/1\.1 200/g)?.length, 2);
  assert.match(text, /connection: close/);
  assert.equal((await ask('web', { headers: { 'x-big': 'x'.repeat(50_000) } })).status, 200);
  assert.equal((await ask('web', { headers: { 'x-big': 'x'.repeat(70_000) } })).status, 431);
});

test('header_key_format proper_case_words writes Proper-Case names to the client', async () => {
  const { rawHeaders } = await ask('case');
  assert.ok(rawHeaders.includes('Content-Type'), rawHeaders.join());
  assert.ok(rawHeaders.includes('X-Backend'));
});

describe('local_reply_config', () => {
  test('maps status and body, adds headers', async () => {
    const gone = await ask('local', { path: '/lost' });
    assert.equal(gone.status, 410);
    assert.equal(gone.body, '410/gone: %REQ(:PATH)%');
    // As in Envoy: fields are added before the status is mapped.
    assert.equal(gone.headers['x-mapped'], '404');
    assert.equal(gone.headers['content-type'], 'text/html; charset=UTF-8');
  });
  test('formats one kind of failure as JSON', async () => {
    const dead = await ask('local', { path: '/dead' });
    assert.equal(dead.status, 503);
    const body = JSON.parse(dead.body) as Record<string, unknown>;
    assert.equal(body['code'], 503);
    assert.equal(body['flags'], 'UF');
    assert.match(String(body['error']), /upstream connect error/);
    assert.equal(dead.headers['content-type'], 'application/json');
  });
  test('direct responses are formatted like any other local reply', async () => assert.equal((await ask('local', { path: '/said' })).body, '200/said'));
});

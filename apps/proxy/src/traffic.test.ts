import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, closedPort, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, endpoint, filter, httpListener, route, typeOf, type Json } from './testing/bootstrap.ts';
import { request, type Request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

let proxy: RunningProxy;
let apps: Backend[];

const percent = (numerator: number): Json => ({ numerator, denominator: 'HUNDRED' });
const perRoute = (config: Json): Json => ({ typed_per_filter_config: { 'envoy.filters.http.fault': { '@type': typeOf.fault, ...config } } });
const corsOf = (policy: Json): Json => ({ typed_per_filter_config: { 'envoy.filters.http.cors': { '@type': typeOf.corsPolicy, ...policy } } });
const labelled = (port: number, version: string, more: Json = {}): Json => endpoint(port, { metadata: { filter_metadata: { 'envoy.lb': { version, stage: version === 'v3' ? 'canary' : 'prod' } } }, ...more });
const subset = (version: string): Json => ({ cluster: 'subsets', metadata_match: { filter_metadata: { 'envoy.lb': { version } } } });

before(async () => {
  apps = await Promise.all(['one', 'two', 'three'].map((name) => backend(name)));
  const [one = 0, two = 0, three = 0] = apps.map(({ port }) => port);
  const dead = await closedPort();
  const faults: Json[] = [
    { ...route({ path: '/delay' }, 'one'), ...perRoute({ delay: { fixed_delay: '0.3s', percentage: percent(100) } }) },
    { ...route({ path: '/abort' }, 'one'), ...perRoute({ abort: { http_status: 418, percentage: percent(100) } }) },
    { ...route({ path: '/grpc-abort' }, 'one'), ...perRoute({ abort: { grpc_status: 14, percentage: percent(100) } }) },
    { ...route({ path: '/half' }, 'one'), ...perRoute({ abort: { http_status: 500, percentage: percent(50) } }) },
    { ...route({ path: '/never' }, 'one'), ...perRoute({ abort: { http_status: 500, percentage: percent(0) } }) },
    { ...route({ path: '/jason' }, 'one'), ...perRoute({ abort: { http_status: 500, percentage: percent(100) }, headers: [{ name: 'end-user', string_match: { exact: 'jason' } }] }) },
    route({ path: '/fine' }, 'one'),
  ];
  const mirrors: Json[] = [
    route({ path: '/mirror' }, { cluster: 'one', request_mirror_policies: [{ cluster: 'two' }] }),
    route({ path: '/mirror-none' }, { cluster: 'one', request_mirror_policies: [{ cluster: 'two', runtime_fraction: { default_value: percent(0) } }] }),
    route({ path: '/mirror-dead' }, { cluster: 'one', request_mirror_policies: [{ cluster: 'dead' }, { cluster: 'unknown' }] }),
    route({ path: '/mirror-same-host' }, { cluster: 'one', request_mirror_policies: [{ cluster: 'two', disable_shadow_host_suffix_append: true }] }),
  ];
  const allow = { allow_origin_string_match: [{ exact: 'https://good.example' }, { safe_regex: { regex: 'https://.*\\.good\\.example' } }], allow_methods: 'GET, PUT', allow_headers: 'x-a', expose_headers: 'x-b', max_age: '60', allow_credentials: true };
  const cors: Json[] = [
    { ...route({ path: '/cors' }, 'one'), ...corsOf(allow) },
    { ...route({ path: '/strict' }, 'one'), ...corsOf({ ...allow, forward_not_matching_preflights: false }) },
    route({ path: '/no-cors' }, 'one'),
  ];
  const balanced = ['round', 'random', 'least', 'weights', 'subsets-any', 'priorities', 'localities', 'panic', 'no-panic', 'dns'].map((name) => route({ path: `/${name}` }, name));
  const versions: Json[] = ['v1', 'v3', 'v9'].map((version) => route({ path: `/subset-${version}` }, subset(version)));
  const unhealthy = { health_status: 'UNHEALTHY' };
  const withEndpoints = (name: string, endpoints: readonly Json[], more: Json = {}): Json => ({ ...cluster(name, []), ...more, load_assignment: { cluster_name: name, endpoints } });
  const selectors = (policy: string) => ({ lb_subset_config: { fallback_policy: policy, default_subset: { stage: 'canary' }, subset_selectors: [{ keys: ['version'] }] } });
  proxy = await startProxy(bootstrap([
    httpListener({ routes: [...faults, ...mirrors, ...cors, ...balanced, ...versions, route({ path: '/subset-default' }, { cluster: 'subsets-default', metadata_match: { filter_metadata: { 'envoy.lb': { version: 'v9' } } } })], filters: [filter('envoy.filters.http.cors', typeOf.cors), filter('envoy.filters.http.fault', typeOf.fault)] }),
    httpListener({ name: 'limited', routes: [route({ prefix: '/' }, 'one')], filters: [filter('envoy.filters.http.fault', typeOf.fault, { delay: { fixed_delay: '0.6s', percentage: percent(100) }, max_active_faults: 1 })] }),
  ], [
    cluster('one', [one]), cluster('two', [two]), cluster('three', [three]), cluster('dead', [dead]),
    cluster('round', [one, two, three]), cluster('random', [one, two, three], { lb_policy: 'RANDOM' }), cluster('least', [one, two], { lb_policy: 'LEAST_REQUEST' }),
    cluster('weights', [endpoint(one, { load_balancing_weight: 3 }), endpoint(two, { load_balancing_weight: 1 })]),
    cluster('subsets', [labelled(one, 'v1'), labelled(two, 'v2'), labelled(three, 'v3')], selectors('NO_FALLBACK')),
    cluster('subsets-default', [labelled(one, 'v1'), labelled(two, 'v2'), labelled(three, 'v3')], selectors('DEFAULT_SUBSET')),
    cluster('subsets-any', [labelled(one, 'v1'), labelled(two, 'v2')], selectors('ANY_ENDPOINT')),
    withEndpoints('priorities', [{ priority: 0, lb_endpoints: [endpoint(one, unhealthy)] }, { priority: 1, lb_endpoints: [endpoint(two)] }]),
    withEndpoints('localities', [{ locality: { zone: 'a' }, load_balancing_weight: 3, lb_endpoints: [endpoint(one)] }, { locality: { zone: 'b' }, load_balancing_weight: 1, lb_endpoints: [endpoint(two)] }], { common_lb_config: { locality_weighted_lb_config: {} } }),
    cluster('panic', [endpoint(one, unhealthy), endpoint(two, unhealthy), endpoint(three)]),
    cluster('no-panic', [endpoint(one, unhealthy), endpoint(two, unhealthy), endpoint(three)], { common_lb_config: { healthy_panic_threshold: { value: 0 } } }),
    { ...cluster('dns', []), type: 'STRICT_DNS', dns_lookup_family: 'V4_ONLY', load_assignment: { cluster_name: 'dns', endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 'localhost', port_value: one } } } }] }] } },
  ]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all(apps.map((app) => app.stop()));
});

const ask = (path: string, more: Request = {}) => request(proxy.port('web'), { path, ...more });
const stat = async (name: string) => Number(/: (\d+)/.exec((await request(proxy.port('admin'), { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` })).body)?.[1] ?? 0);
/** How many of n requests each backend answered. */
async function shares(path: string, n: number): Promise<Record<string, number>> {
  const counted: Record<string, number> = {};
  for (let at = 0; at < n; at += 20) {
    for (const reply of await Promise.all(Array.from({ length: Math.min(20, n - at) }, () => ask(path)))) {
      const name = reply.status === 200 ? String(reply.headers['x-backend']) : String(reply.status);
      counted[name] = (counted[name] ?? 0) + 1;
    }
  }
  return counted;
}
const timed = async (path: string, more: Request = {}) => {
  const start = performance.now();
  const reply = await ask(path, more);
  return { reply, ms: performance.now() - start };
};

describe('faults', () => {
  test('a delay waits, then forwards', async () => {
    const { reply, ms } = await timed('/delay');
    assert.equal(reply.status, 200);
    assert.ok(ms >= 295, `${ms} ms`);
  });
  test('an abort answers with its status and "fault filter abort"', async () => {
    const reply = await ask('/abort');
    assert.equal(reply.status, 418);
    assert.equal(reply.body, 'fault filter abort');
  });
  test('a gRPC abort gives a gRPC client its status', async () => {
    const reply = await ask('/grpc-abort', { method: 'POST', headers: { 'content-type': 'application/grpc' } });
    assert.equal(reply.status, 200);
    assert.equal(reply.headers['grpc-status'], '14');
  });
  test('percentages: all, half, none', async () => {
    const half = await shares('/half', 100);
    assert.ok((half['500'] ?? 0) > 25 && (half['500'] ?? 0) < 75, JSON.stringify(half));
    assert.deepEqual(await shares('/never', 20), { one: 20 });
  });
  test('headers pick whose requests fail', async () => {
    assert.equal((await ask('/jason')).status, 200);
    assert.equal((await ask('/jason', { headers: { 'end-user': 'jason' } })).status, 500);
  });
  test('faults that clients ask for by header are off: the header does nothing', async () => {
    assert.equal((await ask('/fine', { headers: { 'x-envoy-fault-abort-request': '409' } })).status, 200);
  });
  test('max_active_faults: beyond it requests go through unharmed', async () => {
    const start = performance.now();
    const times = await Promise.all(Array.from({ length: 3 }, async () => {
      await request(proxy.port('limited'));
      return performance.now() - start;
    }));
    assert.equal(times.filter((ms) => ms >= 590).length, 1, times.join());
  });
});

describe('mirroring', () => {
  const mirrored = (path: string) => (apps[1]?.seen ?? []).filter((seen) => seen.url === path);
  test('a copy with body goes to the other cluster, its host gets -shadow, its answer is dropped', async () => {
    const reply = await ask('/mirror', { method: 'POST', body: 'payload', headers: { host: 'app.example:80' } });
    assert.equal(reply.seen().backend, 'one');
    const copy = await waitFor('the copy', () => mirrored('/mirror')[0]);
    assert.equal(copy.body, 'payload');
    assert.equal(copy.method, 'POST');
    assert.equal(copy.headers['host'], 'app.example-shadow:80');
    assert.equal(copy.headers['x-request-id'], reply.seen().headers['x-request-id']);
  });
  test('disable_shadow_host_suffix_append keeps the host', async () => {
    await ask('/mirror-same-host', { headers: { host: 'app.example' } });
    assert.equal((await waitFor('the copy', () => mirrored('/mirror-same-host')[0])).headers['host'], 'app.example');
  });
  test('none at 0 percent, and a dead or unknown mirror harms nobody', async () => {
    for (let i = 0; i < 5; i++) assert.equal((await ask('/mirror-none')).status, 200);
    assert.equal(mirrored('/mirror-none').length, 0);
    for (let i = 0; i < 5; i++) assert.equal((await ask('/mirror-dead')).status, 200);
  });
});

describe('CORS', () => {
  const preflight = (path: string, origin: string) => ask(path, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'GET' } });
  test('a preflight of an allowed origin is answered here', async () => {
    const reply = await preflight('/cors', 'https://good.example');
    assert.equal(reply.status, 200);
    assert.equal(reply.body, '');
    assert.equal(reply.headers['access-control-allow-origin'], 'https://good.example');
    assert.equal(reply.headers['access-control-allow-methods'], 'GET, PUT');
    assert.equal(reply.headers['access-control-allow-headers'], 'x-a');
    assert.equal(reply.headers['access-control-max-age'], '60');
    assert.equal(reply.headers['access-control-allow-credentials'], 'true');
    assert.equal(reply.headers['x-backend'], undefined);
  });
  test('a request of an allowed origin is answered with the permission', async () => {
    const reply = await ask('/cors', { headers: { origin: 'https://a.good.example' } });
    assert.equal(reply.headers['access-control-allow-origin'], 'https://a.good.example');
    assert.equal(reply.headers['access-control-expose-headers'], 'x-b');
    assert.equal(reply.headers['x-backend'], 'one');
  });
  test('other origins get none, their preflights go to the backend unless told not to', async () => {
    const reply = await ask('/cors', { headers: { origin: 'https://bad.example' } });
    assert.equal(reply.headers['access-control-allow-origin'], undefined);
    assert.equal((await preflight('/cors', 'https://bad.example')).headers['x-backend'], 'one');
    assert.equal((await preflight('/strict', 'https://bad.example')).headers['x-backend'], undefined);
    assert.equal((await preflight('/no-cors', 'https://good.example')).headers['x-backend'], 'one');
  });
});

describe('load balancing', () => {
  test('round robin gives each the same', async () => assert.deepEqual(await shares('/round', 30), { one: 10, two: 10, three: 10 }));
  test('round robin follows weights', async () => assert.deepEqual(await shares('/weights', 40), { one: 30, two: 10 }));
  test('random reaches all', async () => assert.equal(Object.keys(await shares('/random', 60)).length, 3));
  test('least request avoids a busy host', async () => {
    const slow = Array.from({ length: 6 }, () => ask('/least', { headers: { 'x-reply-delay-ms': '400' } }));
    await waitFor('the slow ones', async () => await stat('cluster.least.upstream_rq_active') === 6);
    await Promise.all(slow);
    const counted = await shares('/least', 40);
    assert.equal((counted['one'] ?? 0) + (counted['two'] ?? 0), 40);
  });
  test('subsets by metadata_match, and what happens without one', async () => {
    assert.deepEqual(await shares('/subset-v1', 6), { one: 6 });
    assert.deepEqual(await shares('/subset-v3', 6), { three: 6 });
    assert.deepEqual(await shares('/subset-v9', 4), { 503: 4 });
    assert.deepEqual(await shares('/subset-default', 4), { three: 4 });
    assert.deepEqual(await shares('/subsets-any', 4), { one: 2, two: 2 });
  });
  test('a priority without healthy hosts spills to the next', async () => assert.deepEqual(await shares('/priorities', 10), { two: 10 }));
  test('locality weights', async () => {
    const counted = await shares('/localities', 80);
    assert.ok((counted['one'] ?? 0) > (counted['two'] ?? 0), JSON.stringify(counted));
    assert.ok((counted['two'] ?? 0) > 0);
  });
  test('below the panic threshold all hosts get traffic, with threshold 0 only healthy ones', async () => {
    assert.equal(Object.keys(await shares('/panic', 30)).length, 3);
    assert.deepEqual(await shares('/no-panic', 10), { three: 10 });
  });
  test('STRICT_DNS resolves localhost', async () => assert.deepEqual(await shares('/dns', 3), { one: 3 }));
});

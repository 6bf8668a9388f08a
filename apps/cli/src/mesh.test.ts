import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ConfigServiceService, ItemResult_Action, ObjectDistribution_State, ProxyLag_State, StatusServiceService, type ObjectDistribution, type ConfigServiceServer, type StatusServiceServer, type WaitRequest } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { parse } from 'yaml';
import { runMeltemi } from './testing/run-meltemi.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-mesh-'));
const meltemi = (...args: string[]) => runMeltemi(dir, args);
const key = { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'reviews' };
const json = JSON.stringify({ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'reviews' }, spec: { hosts: ['reviews'] } });
const url = (type: string) => `type.googleapis.com/envoy.config.${type}`;
const waits: WaitRequest[] = [];
let empty = false;
let lagging = false;
const spread: ObjectDistribution = {
  key, state: ObjectDistribution_State.IN_FORCE, resourceVersion: '7', reasons: [], lastGoodInForce: false, proxies: 2, following: 1, notConcerned: 1, refusing: 0, lagging: 1,
  laggards: [{ proxyId: 'slow-0.default', state: ProxyLag_State.LAGGING, detail: 'has not acknowledged RDS' }], followers: [],
};
const pilots = [{ pilot: 'p', address: '', version: '0.1.0', error: '' }, { pilot: 'q', address: '10.0.0.2:1', version: '0.1.0', error: 'it took too long' }];
let grpc: Server;
let admin: HttpServer;

const config: ConfigServiceServer = {
  apply: ({ request }, done) => done(null, { results: request.items.map(() => ({ key, action: ItemResult_Action.CREATED, resourceVersion: '7', errors: [], warnings: [{ path: 'spec.hosts', message: 'is odd' }] })), revision: '7' }),
  delete: ({ request }, done) => done(null, { results: request.keys.map((each) => ({ key: each, action: ItemResult_Action.DELETED, resourceVersion: '', errors: [], warnings: [] })), revision: '8' }),
  get: ({ request }, done) => (request.key?.name === 'missing.prod' ? done({ code: 5, details: 'does not exist' }) : done(null, { key, json, resourceVersion: '7', origin: 'store', quarantine: undefined, lastGoodInForce: false })),
  list: (_call, done) => done(null, empty ? { objects: [], problems: [] } : {
    objects: [
      { key, json, resourceVersion: '7', origin: 'store', quarantine: undefined, lastGoodInForce: false },
      { key: { ...key, name: 'bad' }, json, resourceVersion: '', origin: 'source:/c/bad.yaml:1', quarantine: { errors: [{ path: 'spec.htttp', message: 'unknown field' }], locations: ['/c/bad.yaml:6'] }, lastGoodInForce: true },
      { key: { group: '', kind: 'Service', namespace: 'default', name: 'reviews' }, json: '{}', resourceVersion: '', origin: 'source:/c/s.yaml:1', quarantine: undefined, lastGoodInForce: false },
    ],
    problems: [{ source: 'directory /c', file: '/c/junk.yaml', line: 3, path: '', message: 'is not readable YAML' }],
  }),
  watch: (call) => call.end(),
  wait: (call) => {
    waits.push(call.request);
    if (lagging) call.write({ done: false, affected: 2, following: 1, laggards: [{ proxyId: 'slow-0.default', state: ProxyLag_State.LAGGING, detail: 'has not acknowledged RDS' }], timedOut: true, objects: call.request.objects.map(() => spread) });
    else call.write({ done: true, affected: 2, following: 2, laggards: [], timedOut: false, objects: call.request.objects.map((each) => ({ ...spread, key: each, following: 2, lagging: 0, laggards: [] })) });
    call.end();
  },
};
const status: StatusServiceServer = {
  proxyStatus: (_call, done) => done(null, empty ? { proxies: [], quarantinedObjects: 0, sourceProblems: 0, pilots: [] } : {
    proxies: [{ proxyId: 'reviews-v1-0.default', clusterId: 'Kubernetes', pilot: 'p', version: '0.1.0', protocol: 'delta', connectedAt: '', address: '', types: [
      { typeUrl: url('cluster.v3.Cluster'), state: 'SYNCED', sentVersion: '1', ackedVersion: '1', error: '' },
      { typeUrl: url('listener.v3.Listener'), state: 'ERROR', sentVersion: '1', ackedVersion: '', error: 'the port is taken' },
      { typeUrl: url('endpoint.v3.ClusterLoadAssignment'), state: 'STALE', sentVersion: '2', ackedVersion: '1', error: '' },
    ] }],
    quarantinedObjects: 1, sourceProblems: 1, pilots,
  }),
  distribution: ({ request }, done) => done(null, { pilot: 'p', pilots, objects: request.keys.map((each) => ({ ...spread, key: each })) }),
  version: (_call, done) => done(null, { version: '0.1.0', node: 'p' }),
  access: (_call, done) => done(null, { caller: 'the owner of the config socket', allowed: true, reason: 'ownership of the config socket' }),
};

const dump = {
  configs: [
    { '@type': 'type.googleapis.com/envoy.admin.v3.ClustersConfigDump', static_clusters: [{ cluster: { name: 'BlackHoleCluster' } }], dynamic_active_clusters: [{ version_info: '1', cluster: { name: 'outbound|9080|v1|reviews.default.svc.cluster.local', type: 'EDS' } }] },
    { '@type': 'type.googleapis.com/envoy.admin.v3.ListenersConfigDump', static_listeners: [], dynamic_listeners: [
      { name: '0.0.0.0_9080', active_state: { listener: { name: '0.0.0.0_9080', address: { socket_address: { address: '127.0.0.1', port_value: 9080 } }, filter_chains: [{ filters: [{ name: 'hcm', typed_config: { rds: { route_config_name: '9080' } } }] }] } } },
      { name: 'never-good', error_state: { details: 'no' } },
    ] },
    { '@type': 'type.googleapis.com/envoy.admin.v3.RoutesConfigDump', static_route_configs: [], dynamic_route_configs: [{ route_config: { name: '9080', virtual_hosts: [{ name: 'reviews:9080', domains: ['reviews', 'reviews:9080', 'r'], routes: [
      { match: { prefix: '/', headers: [{ name: 'end-user' }] }, route: { weighted_clusters: { clusters: [{ name: 'a', weight: 90 }, { name: 'b', weight: 10 }] } } }, { match: { path: '/x' }, direct_response: { status: 503 } },
    ] }] } }] },
  ],
};
const pages: Readonly<Record<string, unknown>> = {
  '/config_dump': dump,
  '/config_dump?include_eds': dump,
  '/clusters?format=json': { cluster_statuses: [{ name: 'outbound|9080||reviews', host_statuses: [
    { address: { socket_address: { address: '10.0.0.1', port_value: 9080 } }, health_status: { eds_health_status: 'HEALTHY' } }, { address: { socket_address: { address: '10.0.0.2', port_value: 9080 } }, health_status: { eds_health_status: 'UNHEALTHY', failed_outlier_check: true } },
  ] }] },
  '/certs': { certificates: [{ ca_cert: [{ serial_number: 'ca', subject_alt_names: [], valid_from: 'a', expiration_time: 'b' }], cert_chain: [{ serial_number: 'c1', subject_alt_names: [{ uri: 'spiffe://cluster.local/ns/default/sa/reviews' }], valid_from: 'a', expiration_time: 'b' }] }] },
};

before(async () => {
  grpc = new Server();
  grpc.addService(ConfigServiceService, config);
  grpc.addService(StatusServiceService, status);
  const socket = join(dir, 'c.sock');
  await new Promise<void>((resolve, reject) => grpc.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), (error) => (error ? reject(error) : resolve())));
  admin = createServer((request, response) => {
    const page = pages[request.url ?? ''];
    response.writeHead(page ? 200 : 404, { 'content-type': 'application/json' }).end(page ? JSON.stringify(page) : 'no such page');
  });
  await new Promise<void>((resolve) => admin.listen(0, '127.0.0.1', resolve));
  mkdirSync(join(dir, '.meltemi'));
  const address = `http://127.0.0.1:${(admin.address() as AddressInfo).port}`;
  writeFileSync(join(dir, '.meltemi/context.json'), JSON.stringify({ configSocket: socket, proxies: [{ id: 'reviews-v1-0.default', admin: address }, { id: 'reviews-v2-0.default', admin: address }] }));
  writeFileSync(join(dir, 'a.yaml'), json);
});
after(() => {
  grpc.forceShutdown();
  admin.close();
  rmSync(dir, { recursive: true, force: true });
});

test('apply tells each object’s fate and waits as long as it is told', async () => {
  const table = await meltemi('apply', '-f', 'a.yaml', '--wait=3s');
  assert.deepEqual([table.code, table.out], [0, 'virtualservice.networking.istio.io/reviews created\n']);
  assert.match(table.err, /warning: a\.yaml:1: VirtualService default\/reviews: spec\.hosts: is odd\nlive at 2 proxies/);
  assert.deepEqual([waits.at(-1)?.revision, waits.at(-1)?.timeoutMs], ['7', 3000n]);
  const asJson = await meltemi('apply', '-f', 'a.yaml', '--wait', '-o', 'json');
  assert.deepEqual((JSON.parse(asJson.out) as object[])[0], { ...key, action: 'created', resourceVersion: '7', errors: [], warnings: [{ path: 'spec.hosts', message: 'is odd' }] });
  assert.equal(waits.at(-1)?.timeoutMs, 30_000n);
  lagging = true;
  const late = await meltemi('apply', '-f', 'a.yaml', '--wait');
  lagging = false;
  assert.equal(late.code, 1);
  assert.match(late.err, /1 of 2 proxies follow\.\n {2}VirtualService default\/reviews is at 1 of 2 proxies\n {4}slow-0\.default lags: has not acknowledged RDS/);
});

test('delete takes files, or a kind and names', async () => {
  assert.equal((await meltemi('delete', '-f', 'a.yaml')).out, 'virtualservice.networking.istio.io/reviews deleted\n');
  assert.equal((await meltemi('delete', 'vs/one')).out, 'virtualservice.networking.istio.io/one deleted\n');
  assert.equal((await meltemi('delete', '--wait', 'vs', 'one')).code, 0, 'the kind is no duration');
  assert.equal(waits.at(-1)?.timeoutMs, 30_000n);
  const named = await meltemi('delete', 'vs', 'one', 'two', '-n', 'other', '-o', 'yaml');
  assert.deepEqual((parse(named.out) as { namespace: string; name: string }[]).map((each) => [each.namespace, each.name]), [['other', 'one'], ['other', 'two']]);
});

test('get shows the mesh’s objects, what is quarantined and why, and what is no object at all', async () => {
  const table = await meltemi('get');
  assert.match(table.out, /^KIND +NAMESPACE +NAME +STATUS +ORIGIN\nVirtualService +default +reviews +in force +store\nVirtualService +default +bad +QUARANTINED \(last good in force\) +source:\/c\/bad\.yaml:1\n$/);
  assert.equal(table.err, '/c/bad.yaml:6: VirtualService default/bad: spec.htttp: unknown field\n/c/junk.yaml:3: is not readable YAML\n');
  const one = JSON.parse((await meltemi('get', 'vs', 'reviews', '-o', 'json')).out) as { metadata: object };
  assert.deepEqual(one.metadata, { name: 'reviews', namespace: 'default', resourceVersion: '7' });
  const bad = JSON.parse((await meltemi('get', '--quarantined', '-o', 'json')).out) as { meltemi: { lastGoodInForce: boolean } }[];
  assert.deepEqual(bad.map((each) => each.meltemi.lastGoodInForce), [true]);
  const missing = await meltemi('get', 'vs', 'nobody', '-o', 'json');
  assert.deepEqual([missing.code, missing.out], [1, '']);
});

test('get -o wide, and -o yaml of one object, show which proxies have it', async () => {
  const wide = await meltemi('get', '-o', 'wide');
  assert.match(wide.out, /^KIND +NAMESPACE +NAME +STATUS +PROXIES +ORIGIN\nVirtualService +default +reviews +in force +1\/2 \(1 not concerned\) +store\n/);
  assert.match(wide.err, /^pilot q at 10\.0\.0\.2:1 does not answer, its proxies are missing here: it took too long$/m);
  assert.match(wide.err, /^VirtualService default\/reviews: slow-0\.default lags: has not acknowledged RDS$/m);
  const one = parse((await meltemi('get', 'vs', 'reviews', '-o', 'yaml')).out) as { meltemi: { distribution: object } };
  assert.deepEqual(one.meltemi.distribution, { proxies: 2, following: 1, notConcerned: 1, refusing: 0, lagging: 1, followers: [], laggards: [{ proxy: 'slow-0.default', state: 'lags', detail: 'has not acknowledged RDS' }] });
});

test('wait takes its words as istioctl does, and names who holds the object up', async () => {
  const asked = () => {
    const { objects, removed, threshold, generation, timeoutMs } = waits.at(-1) ?? assert.fail('pilot was not asked');
    return [...objects.map(({ kind, namespace, name }) => `${kind} ${namespace}/${name}`), removed, threshold, generation, timeoutMs];
  };
  const done = await meltemi('wait', 'virtualservice', 'reviews');
  assert.deepEqual([done.code, done.out, done.err], [0, 'VirtualService default/reviews is at 2/2 (1 not concerned) proxies\n', '']);
  assert.deepEqual(asked(), ['VirtualService default/reviews', false, 1, '', 30_000n]);
  await meltemi('wait', 'vs/reviews', '-n', 'prod', '--for', 'delete', '--threshold', '.5', '--timeout', '2s', '--generation', '3');
  assert.deepEqual(asked(), ['VirtualService prod/reviews', true, 0.5, '3', 2000n]);
  await meltemi('wait', '--for=distribution', 'vs', 'missing.prod');
  assert.deepEqual(asked()[0], 'VirtualService prod/missing');
  await meltemi('wait', 'vs', 'dotted.name');
  assert.deepEqual(asked()[0], 'VirtualService default/dotted.name', 'a name may hold dots');
  const asJson = await meltemi('wait', 'vs', 'reviews', '-o', 'json');
  assert.equal((JSON.parse(asJson.out) as { done: boolean }).done, true);
  lagging = true;
  const late = await meltemi('wait', 'vs', 'reviews');
  lagging = false;
  assert.deepEqual([late.code, late.out], [1, '']);
  assert.match(late.err, /^Timed out after 30 s: VirtualService default\/reviews is at 1 of 2 proxies\n {2}slow-0\.default lags: has not acknowledged RDS\n$/);
});

test('wait refuses words that mean nothing', async () => {
  for (const [args, says] of [
    [['vs'], /Name one object/], [['vs/a', 'b'], /Name one object/], [['vs', 'a', '--for', 'ready'], /distribution or delete/], [['vs', 'a', '--threshold', '1.5'], /above 0 to 1/],
    [['vs', 'a', '--timeout', 'soon'], /duration like 30s/], [['teapot', 'a'], /no kind "teapot"/],
  ] as const) {
    const ran = await meltemi('wait', ...args);
    assert.equal(ran.code, 64, ran.err);
    assert.match(ran.err, says);
  }
});

test('proxy-status shows what istioctl shows', async () => {
  const table = await meltemi('proxy-status');
  assert.match(table.out, /^NAME +CLUSTER +CDS +LDS +EDS +RDS +PILOT +VERSION\nreviews-v1-0\.default +Kubernetes +SYNCED +ERROR +STALE +NOT SENT +p +0\.1\.0\n$/);
  assert.match(table.err, /refused LDS: the port is taken\nthis is what pilot p alone knows, of 2 pilots over its store\npilot q at 10\.0\.0\.2:1 does not answer, its proxies are missing here: it took too long\n1 object is quarantined[^]*have 1 problem/);
  assert.equal((JSON.parse((await meltemi('ps', 'reviews', '-o', 'json')).out) as unknown[]).length, 1);
  assert.match((await meltemi('ps', 'nobody')).err, /No proxy nobody is connected\. Connected are: reviews-v1-0\.default/);
  assert.match((await meltemi('version')).out, /client +0\.1\.0\ncontrol plane \(p\) +0\.1\.0\ncontrol plane \(q\) +0\.1\.0 \(does not answer\)\ndata plane \(1 proxies\) +0\.1\.0/);
});

test('with -o json nothing is an empty list', async () => {
  empty = true;
  const runs = await Promise.all([meltemi('get', '-o', 'json'), meltemi('proxy-status', '-o', 'json'), meltemi('get', 'pods', '-o', 'json'), meltemi('get', '-o', 'yaml')]);
  empty = false;
  assert.deepEqual(runs.map((ran) => [ran.code, ran.out]), runs.map(() => [0, '[]\n']));
});

test('proxy-config reads listeners, routes, clusters, endpoints and certificates from the admin port', async () => {
  const pc = (...args: string[]) => meltemi('proxy-config', ...args);
  const [listeners, routes, clusters, endpoints, secrets, all, filtered, none] = await Promise.all([
    pc('listener', 'reviews-v1'), pc('route', 'reviews-v1-0.default'), pc('cluster', 'reviews-v1'), pc('endpoint', 'reviews-v1'), pc('secret', 'reviews-v1'), pc('all', 'reviews-v1'),
    pc('cluster', 'reviews-v1', '--subset', 'v1', '-o', 'json'), pc('route', 'reviews-v1', '--name', 'none', '-o', 'json'),
  ]);
  assert.match(listeners.out, /0\.0\.0\.0_9080 +127\.0\.0\.1 +9080 +Route: 9080/);
  assert.match(routes.out, /9080 +reviews:9080 +reviews, reviews:9080 \+ 1 more +\/\* \[end-user\] +a \(90\), b \(10\)\n.*\/x +direct response 503/);
  assert.match(clusters.out, /BlackHoleCluster +- +- +- +STATIC\nreviews\.default\.svc\.cluster\.local +9080 +v1 +outbound +EDS/);
  assert.match(endpoints.out, /10\.0\.0\.1:9080 +HEALTHY +OK +outbound\|9080\|\|reviews\n10\.0\.0\.2:9080 +UNHEALTHY +FAILED/);
  assert.match(secrets.out, /Cert Chain +spiffe:\/\/cluster\.local\/ns\/default\/sa\/reviews +c1 +b +a\nCA +- +ca/);
  assert.deepEqual(JSON.parse(all.out), dump);
  assert.deepEqual((JSON.parse(filtered.out) as { name: string }[]).map((each) => each.name), ['outbound|9080|v1|reviews.default.svc.cluster.local']);
  assert.equal(none.out, '[]\n');
});

test('proxy-config says which proxies there are, and when one does not answer', async () => {
  const several = await meltemi('proxy-config', 'route', 'reviews');
  assert.equal(several.code, 1);
  assert.match(several.err, /reviews could be several proxies\. There are:\n {2}reviews-v1-0\.default\n {2}reviews-v2-0\.default/);
  assert.match((await meltemi('pc', 'r', 'nobody')).err, /No proxy nobody/);
  const away = await meltemi('pc', 'r', '--admin', 'http://127.0.0.1:1');
  assert.equal(away.code, 1);
  assert.match(away.err, /cannot be reached[^]*Is the proxy running\?/);
});

test('analyze without files looks at the live mesh, and names what pilot set aside', async () => {
  const ran = await meltemi('analyze', '-o', 'json', '--analyzer', 'schema.ValidationAnalyzer.VirtualService');
  assert.equal(ran.code, 79, ran.err);
  const messages = JSON.parse(ran.out) as { code: string; origin: string; file: string; line: number; message: string }[];
  assert.deepEqual(messages.map(({ code, origin, file, line }) => [code, origin, file, line]), [['IST0106', 'VirtualService bad.default', '/c/bad.yaml', 1], ['IST0106', 'VirtualService reviews.default', '', 0]]);
  const here = await meltemi('analyze', 'a.yaml', '-o', 'json', '--analyzer', 'schema.ValidationAnalyzer.VirtualService');
  assert.deepEqual((JSON.parse(here.out) as { file: string }[]).map(({ file }) => file), ['a.yaml'], 'with files the mesh is not asked');
});

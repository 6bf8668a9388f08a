import assert from 'node:assert/strict';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ManualClock, waitFor } from '@meltemi/base';
import { FlatStats } from '@meltemi/observe';
import { AtomicRows, plainPick, sharedRowsBuffer, type SharedRows } from '@meltemi/proxy';
import { assignmentOf, clusterOf, endpoints, must, staticCluster } from '../server/fixture.ts';
import { SecretStore } from '../transport/secret-store.ts';
import { ClusterManager } from './cluster-manager.ts';

function setUp(shared: SharedRows | null = null) {
  const clock = new ManualClock();
  const secrets = new SecretStore();
  const warm: string[] = [];
  const manager = new ClusterManager({ clock, stats: new FlatStats(), secrets, now: () => clock.now(), onWarm: (name) => warm.push(name), ...(shared !== null && { shared }) });
  return { clock, secrets, manager, warm };
}

const eds = (more = {}) => clusterOf({ name: 'app', type: 'EDS', edsClusterConfig: { serviceName: 'svc', edsConfig: { ads: {} } }, ...more });
const context = { metadataMatch: null, previousHosts: null, maxAttempts: 1, random: { next: () => 0.5 }, ...plainPick };

test('a cluster serves when its endpoints are there, and an update keeps the old one until then', () => {
  const { manager, warm } = setUp();
  must(manager.addOrUpdate(eds()));
  assert.equal(manager.get('app'), null);
  assert.deepEqual(manager.warming, ['app']);
  manager.setEndpoints('svc', assignmentOf(endpoints('svc', 81)));
  const first = manager.get('app');
  assert.equal(first?.pick(context, '')?.key, '127.0.0.1:81');
  must(manager.addOrUpdate(clusterOf({ name: 'app', type: 'EDS', edsClusterConfig: { serviceName: 'other', edsConfig: { ads: {} } } })));
  assert.equal(manager.get('app')?.pick(context, '')?.key, '127.0.0.1:81');
  manager.setEndpoints('other', assignmentOf(endpoints('other', 82)));
  assert.equal(manager.get('app'), first);
  assert.equal(manager.get('app')?.pick(context, '')?.key, '127.0.0.1:82');
  assert.deepEqual(warm, ['app', 'app']);
});

test('endpoints that never come are not waited for for ever', () => {
  const { manager, clock } = setUp();
  must(manager.addOrUpdate(eds()));
  clock.advance(15_001);
  manager.tick(clock.now());
  assert.equal(manager.get('app')?.pick(context, ''), null);
  assert.deepEqual(manager.warming, []);
});

test('a cluster waits for its endpoints as long as initial_fetch_timeout says, with 0 for ever', () => {
  const waiting = (initialFetchTimeout: string) => clusterOf({ name: initialFetchTimeout, type: 'EDS', edsClusterConfig: { edsConfig: { ads: {}, initialFetchTimeout } } });
  const { manager, clock } = setUp();
  for (const timeout of ['0s', '1s', '60s']) must(manager.addOrUpdate(waiting(timeout)));
  clock.advance(30_000);
  manager.tick(clock.now());
  assert.deepEqual(manager.warming, ['0s', '60s']);
});

test('a removed cluster is gone at once', () => {
  const { manager } = setUp();
  must(manager.addOrUpdate(staticCluster('app', [81])));
  assert.ok(manager.get('app'));
  manager.remove('app');
  assert.equal(manager.get('app'), null);
});

const tcpCheck = { healthChecks: [{ timeout: '1s', interval: '60s', unhealthyThreshold: 1, healthyThreshold: 1, tcpHealthCheck: {} }], commonLbConfig: { healthyPanicThreshold: { value: 0 } } };

test('a new cluster with health checks serves when every host has been asked once', async (t) => {
  const server = net.createServer((socket) => socket.on('error', () => {}).destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  t.after(() => server.close());
  const { manager, warm } = setUp();
  t.after(() => manager.destroy());
  must(manager.addOrUpdate(staticCluster('app', [port, 1], tcpCheck)));
  assert.deepEqual([manager.get('app'), manager.warming], [null, ['app']]);
  await waitFor('the first round', () => manager.get('app') !== null);
  assert.deepEqual(warm, ['app']);
  assert.deepEqual(new Set(Array.from({ length: 4 }, () => manager.get('app')?.pick(context, '')?.key)), new Set([`127.0.0.1:${port}`]));
});

test('a host that discovery forgets stays while it passes its checks, unless the cluster says otherwise', async (t) => {
  const server = net.createServer((socket) => socket.on('error', () => {}).destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  t.after(() => server.close());
  const { manager } = setUp();
  t.after(() => manager.destroy());
  must(manager.addOrUpdate(eds(tcpCheck)));
  manager.setEndpoints('svc', assignmentOf(endpoints('svc', port)));
  await waitFor('the first round', () => manager.get('app') !== null);
  manager.setEndpoints('svc', assignmentOf(endpoints('svc')));
  assert.equal(manager.get('app')?.pick(context, '')?.key, `127.0.0.1:${port}`);
  must(manager.addOrUpdate(eds({ ...tcpCheck, ignoreHealthOnHostRemoval: true })));
  manager.setEndpoints('svc', assignmentOf(endpoints('svc')));
  assert.equal(manager.get('app')?.pick(context, ''), null);
});

test('original destination: a header may name it, a port may replace it', () => {
  const { manager } = setUp();
  const pick = (name: string, header: string | null, connection: string) => manager.get(name)?.pick({ ...context, field: (field) => (field === 'x-envoy-original-dst-host' ? header : null) }, connection)?.key ?? null;
  const original = (name: string, config: Record<string, unknown>) => must(manager.addOrUpdate(clusterOf({ name, type: 'ORIGINAL_DST', lbPolicy: 'CLUSTER_PROVIDED', originalDstLbConfig: config })));
  original('header', { useHttpHeader: true });
  original('port', { upstreamPortOverride: 9000 });
  assert.equal(pick('header', '10.0.0.7:81', '10.0.0.1:80'), '10.0.0.7:81');
  assert.equal(pick('header', '[fd00::7]:81', ''), '[fd00::7]:81');
  assert.equal(pick('header', 'localhost:81', '10.0.0.1:80'), '10.0.0.1:80');
  assert.equal(pick('header', null, ''), null);
  assert.equal(pick('port', '10.0.0.7:81', '10.0.0.1:80'), '10.0.0.1:9000');
});

test('workers share limits through updates of a cluster; removed, it is forgotten once nothing of it is under way', () => {
  const buffer = sharedRowsBuffer(2);
  const control = new AtomicRows(buffer, { workers: 2, worker: 2, offsetMs: 0 });
  const [one, two] = [0, 1].map((worker) => setUp(new AtomicRows(buffer, { workers: 2, worker, offsetMs: 0 })).manager) as [ClusterManager, ClusterManager];
  const limited = (maxRequests: number) => staticCluster('app', [81], { circuitBreakers: { thresholds: [{ maxRequests }] } });
  const put = (cluster: ReturnType<typeof limited>) => { for (const manager of [one, two]) must(manager.addOrUpdate(cluster)); };
  const limits = (manager: ClusterManager) => manager.get('app')?.limits.default ?? assert.fail('no cluster');
  put(limited(2));
  const running = limits(one);
  running.requests += 2;
  assert.deepEqual([limits(one).canRequest, limits(two).canRequest], [false, false]);
  put(limited(3));
  assert.deepEqual([limits(one).canRequest, limits(two).canRequest], [true, true]);
  for (const manager of [one, two]) manager.remove('app');
  for (const manager of [one, two]) manager.tick(1000);
  put(limited(2));
  assert.deepEqual([limits(one).canRequest, limits(two).canRequest], [false, false], 'what still runs counts');
  running.requests -= 2;
  assert.equal(limits(two).canRequest, true);
  for (const manager of [one, two]) manager.remove('app');
  for (const manager of [one, two]) manager.tick(2000);
  assert.equal(control.size, 0);
});

test('what workers know of hosts goes with the host, the config that asked for it, and the cluster', () => {
  const buffer = sharedRowsBuffer(2);
  const control = new AtomicRows(buffer, { workers: 2, worker: 2, offsetMs: 0 });
  const managers = [0, 1].map((worker) => setUp(new AtomicRows(buffer, { workers: 2, worker, offsetMs: 0 })).manager);
  const each = (change: (manager: ClusterManager) => void) => {
    for (const manager of managers) change(manager);
    return control.size;
  };
  // The cluster and its limits, default and high.
  const own = 3;
  const outlierDetection = {};
  assert.equal(each((manager) => must(manager.addOrUpdate(eds({ outlierDetection })))), 0, 'a cluster that waits has none');
  assert.equal(each((manager) => manager.setEndpoints('svc', assignmentOf(endpoints('svc', 81, 82, 83)))), own + 3);
  assert.equal(each((manager) => manager.setEndpoints('svc', assignmentOf(endpoints('svc', 82, 84)))), own + 2);
  assert.equal(each((manager) => must(manager.addOrUpdate(eds()))), own);
  assert.equal(each((manager) => must(manager.addOrUpdate(eds({ ...tcpCheck, outlierDetection })))), own + 2);
  each((manager) => manager.remove('app'));
  assert.equal(each((manager) => manager.tick(1000)), 0);
  each((manager) => must(manager.addOrUpdate(eds({ name: 'unchecked', ...tcpCheck }))));
  assert.equal(control.size, own + 2);
  assert.equal(each((manager) => manager.remove('unchecked')), 0, 'also when it was not warm yet');
  each((manager) => must(manager.addOrUpdate(eds({ outlierDetection }))));
  assert.equal(each((manager) => manager.destroy()), 0);
});

test('zones are compared anew when the local cluster comes, changes and goes', () => {
  const clock = new ManualClock();
  const here = { region: '', zone: 'here', subZone: '' };
  const manager = new ClusterManager({ clock, stats: new FlatStats(), secrets: new SecretStore(), now: () => clock.now(), local: { cluster: 'proxies', locality: here } });
  const byZone = (name: string, ports: Readonly<Record<string, readonly number[]>>) => ({
    clusterName: name, endpoints: Object.entries(ports).map(([zone, all]) => ({ locality: { zone }, lbEndpoints: all.map((portValue) => ({ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue } } } })) })),
  });
  const following = (name: string) => clusterOf({ name, type: 'EDS', edsClusterConfig: { serviceName: name, edsConfig: { ads: {} } }, commonLbConfig: { zoneAwareLbConfig: { minClusterSize: 2 } } });
  must(manager.addOrUpdate(following('app')));
  manager.setEndpoints('app', assignmentOf(byZone('app', { here: [1], there: [2] })));
  const picked = () => new Set(Array.from({ length: 20 }, (_, i) => manager.get('app')?.pick({ ...context, random: { next: () => (i % 10) / 10 } }, '')?.key));
  const [near, far] = ['127.0.0.1:1', '127.0.0.1:2'];
  assert.deepEqual(picked(), new Set([near, far]));
  must(manager.addOrUpdate(following('proxies')));
  manager.setEndpoints('proxies', assignmentOf(byZone('proxies', { here: [8], there: [9] })));
  assert.deepEqual(picked(), new Set([near]));
  manager.setEndpoints('proxies', assignmentOf(byZone('proxies', { here: [8, 7, 6] })));
  assert.deepEqual(picked(), new Set([near, far]));
  manager.setEndpoints('proxies', assignmentOf(byZone('proxies', { here: [8], there: [9] })));
  assert.deepEqual(picked(), new Set([near]));
  manager.remove('proxies');
  assert.deepEqual(picked(), new Set([near, far]));
});

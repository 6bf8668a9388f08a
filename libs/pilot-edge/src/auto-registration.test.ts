import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, waitFor } from '@meltemi/base';
import { isHealthyEntry, proxyFromNode, type Proxy } from '@meltemi/pilot';
import { memoryConfigStore, statusLeasedValues, type Config } from '@meltemi/config';
import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { AutoRegistration, withRegistered } from './auto-registration.ts';

const meta = (name: string, namespace: string) => ({ name, namespace, labels: {}, annotations: {}, creationTimestamp: '2026-01-01T00:00:00Z' });

function group(name: string, template: object = {}, more: object = {}): Config {
  const base = { address: '', ports: {}, labels: {}, network: '', locality: '', weight: 0, serviceAccount: '' };
  return { key: { group: 'networking.istio.io', kind: 'WorkloadGroup', namespace: 'vms', name }, apiVersion: 'networking.istio.io/v1', meta: meta(name, 'vms'), spec: { template: { ...base, ...template }, ...more } };
}

function proxy(metadata: object, node: object = {}): Proxy {
  const read = proxyFromNode({ ...Node.decode(new Uint8Array(0)), id: 'sidecar~10.0.0.7~vm.vms~vms.svc.cluster.local', metadata: { NAMESPACE: 'vms', AUTO_REGISTER_GROUP: 'db', ...metadata }, ...node });
  if (!read.ok) throw new Error(read.error[0]?.message);
  return read.value;
}

function setUp(configs: Config[], shared = new ManualClock(), store = memoryConfigStore({ clock: shared })) {
  const clock = shared;
  const changes: string[] = [];
  const objects: string[][] = [];
  const warned: string[] = [];
  const values = statusLeasedValues({ status: store.status, kind: 'RegisteredEntry', clock, leaseMs: 10_000, onFailure: (reason) => assert.fail(reason) });
  const registration = new AutoRegistration({ configs: () => configs, clock, log: { info: () => {}, warn: ({ entry }: { entry?: string }) => void warned.push(entry ?? ''), error: () => {} }, values, onChange: (reason, changed) => { changes.push(reason); objects.push([...changed]); }, graceMs: 10_000 });
  const connect = (one: Proxy, identity: string | undefined = 'spiffe://cluster.local/ns/vms/sa/db') => registration.connect({ peer: { listener: 'secure', address: '', identity } }, one);
  return { registration, clock, changes, connect, values, warned, objects, names: () => registration.entries.map(({ key }) => key.name) };
}

test('a proxy becomes an entry by its group\'s template, with its own labels, network and locality', () => {
  const { registration, connect } = setUp([group('db', { labels: { app: 'db', v: '0' }, ports: { tcp: 15432 }, serviceAccount: 'db' }, { metadata: { labels: { v: '1', tier: 'x' }, annotations: { a: 'b' } } })]);
  assert.equal(connect(proxy({ LABELS: { v: '2' }, NETWORK: 'vm-net' }, { locality: { region: 'r', zone: 'z', subZone: '' } })), undefined);
  const [entry] = registration.entries;
  assert.deepEqual(entry?.key, { group: 'networking.istio.io', kind: 'WorkloadEntry', namespace: 'vms', name: 'db-10.0.0.7-vm-net' });
  assert.deepEqual(entry.spec, { address: '10.0.0.7', ports: { tcp: 15432 }, labels: { app: 'db', v: '2', tier: 'x' }, network: 'vm-net', locality: 'r/z', weight: 0, serviceAccount: 'db' });
  assert.deepEqual(entry.meta.annotations, { 'istio.io/autoRegistrationGroup': 'db', a: 'b' });
});

test('an entry outlives its proxy by the grace, and a proxy that comes back keeps it', () => {
  const { registration, clock, connect, names, changes } = setUp([group('db')]);
  const one = proxy({});
  connect(one);
  registration.disconnect(one);
  clock.advance(9_000);
  connect(one);
  clock.advance(60_000);
  assert.deepEqual(names(), ['db-10.0.0.7']);
  registration.disconnect(one);
  clock.advance(10_000);
  assert.deepEqual([names(), changes.length], [[], 2]);
});

test('of two streams of a proxy the last one counts', () => {
  const { registration, clock, connect, names } = setUp([group('db')]);
  const one = proxy({});
  connect(one);
  connect(one);
  registration.disconnect(one);
  clock.advance(60_000);
  assert.deepEqual(names(), ['db-10.0.0.7']);
});

test('only who proves to be of the group\'s namespace and service account is registered', () => {
  const { connect, names } = setUp([group('db', { serviceAccount: 'db' })]);
  assert.match(connect(proxy({}), 'spiffe://cluster.local/ns/other/sa/db') ?? '', /namespace "other"/);
  assert.match(connect(proxy({}), 'spiffe://cluster.local/ns/vms/sa/web') ?? '', /service account "db", not "web"/);
  assert.match(connect(proxy({}), '') ?? '', /verified identity/);
  assert.match(connect(proxy({ AUTO_REGISTER_GROUP: 'gone' })) ?? '', /no WorkloadGroup vms\/gone/);
  assert.deepEqual(names(), []);
});

test('a proxy that names no group is let in and not registered', () => {
  const { connect, names } = setUp([]);
  assert.equal(connect(proxy({ AUTO_REGISTER_GROUP: '' }), ''), undefined);
  assert.deepEqual(names(), []);
});

test('entries go with their group, and come back with it', () => {
  const configs = [group('db')];
  const { registration, connect, names } = setUp(configs);
  connect(proxy({}));
  const [db] = configs.splice(0, 1);
  registration.groupsChanged();
  assert.deepEqual(names(), []);
  if (db) configs.push(db);
  registration.groupsChanged();
  assert.deepEqual(names(), ['db-10.0.0.7']);
});

test('an entry that somebody wrote is not hidden by one that registered itself', () => {
  const configs = [group('db')];
  const { registration, connect } = setUp(configs);
  connect(proxy({}));
  const [entry] = registration.entries;
  assert.ok(entry);
  assert.equal([...withRegistered(configs, registration.entries)].length, 2);
  assert.deepEqual([...withRegistered([...configs, { ...entry, spec: {} }], registration.entries)].map(({ key, spec }) => [key.kind, spec === entry.spec]), [['WorkloadGroup', false], ['WorkloadEntry', false]]);
});

test('an entry of a group with a probe is not healthy before its proxy says so; only changes are published', () => {
  const { registration, connect, changes, clock } = setUp([group('db', {}, { probe: { tcpSocket: { port: 1 } } }), group('free')]);
  const one = proxy({});
  connect(one);
  const healthy = () => registration.entries.map((entry) => isHealthyEntry(entry));
  assert.deepEqual(healthy(), [false]);
  registration.health(one, 'refused');
  assert.deepEqual([healthy(), changes.length], [[false], 1]);
  registration.health(one, undefined);
  registration.health(one, undefined);
  assert.deepEqual([healthy(), changes.length], [[true], 2]);
  registration.disconnect(one);
  connect(one);
  assert.deepEqual(healthy(), [true], 'a proxy that comes back is what it was');
  registration.health(one, 'connection refused');
  assert.deepEqual([healthy(), changes.at(-1)], [[false], 'WorkloadEntry vms/db-10.0.0.7 is not healthy: connection refused']);
  registration.disconnect(one);
  clock.advance(60_000);
  registration.health(one, undefined);
  assert.deepEqual(registration.entries, []);
});

test('an entry of a group without a probe is healthy, whatever its proxy says', () => {
  const { registration, connect, changes } = setUp([group('db')]);
  const one = proxy({});
  connect(one);
  registration.health(one, 'refused');
  assert.deepEqual([registration.entries.map((entry) => isHealthyEntry(entry)), changes.length], [[true], 1]);
});

test('after a restart of pilot over the same store an entry is there from the start, and goes when its proxy does not come back within the grace', async () => {
  const [clock, configs] = [new ManualClock(), [group('db')]];
  const store = memoryConfigStore({ clock });
  const first = setUp(configs, clock, store);
  await first.registration.start();
  const [stays, leaves] = [proxy({}), proxy({ NETWORK: 'other' })];
  first.connect(stays);
  first.connect(leaves);
  await first.registration.stop();
  const second = setUp(configs, clock, store);
  await second.registration.start();
  assert.deepEqual(second.names().toSorted(), ['db-10.0.0.7', 'db-10.0.0.7-other']);
  assert.deepEqual(second.registration.entries.map((entry) => JSON.stringify(entry)).toSorted(), first.registration.entries.map((entry) => JSON.stringify(entry)).toSorted());
  clock.advance(9_000);
  second.connect(stays);
  clock.advance(1_000);
  await waitFor('the other to go', () => second.names().length === 1);
  clock.advance(60_000);
  assert.deepEqual(second.names(), ['db-10.0.0.7']);
  second.registration.disconnect(stays);
  clock.advance(10_000);
  await waitFor('it to go', () => second.names().length === 0);
  await second.registration.stop();
});

test('a proxy whose entry could not be kept is refused with the reason, and nobody else', async () => {
  const { registration, connect, names, values, clock } = setUp([group('db'), group('huge', {}, { metadata: { annotations: { note: 'x'.repeat(9000) } } })]);
  assert.match(connect(proxy({ NETWORK: 'a/b' })) ?? '', /^it cannot be registered as a WorkloadEntry: name "db-10\.0\.0\.7-a\/b" may hold/);
  assert.match(connect(proxy({ AUTO_REGISTER_GROUP: 'huge' })) ?? '', /^WorkloadEntry vms\/huge-10\.0\.0\.7 would have \d+ bytes; the limit is 8192$/);
  assert.equal(connect(proxy({})), undefined);
  assert.deepEqual(names(), ['db-10.0.0.7']);
  registration.disconnect(proxy({ AUTO_REGISTER_GROUP: 'huge' }));
  await values.close();
  assert.deepEqual(names(), ['db-10.0.0.7']);
  clock.advance(0);
});

test('what a proxy says of its application is cut to what an entry may hold', () => {
  const { registration, connect } = setUp([group('db', {}, { probe: { tcpSocket: { port: 1 } } })]);
  const one = proxy({});
  connect(one);
  registration.health(one, undefined);
  registration.health(one, 'é'.repeat(20_000));
  const [entry] = registration.entries;
  assert.ok(entry && !isHealthyEntry(entry));
  assert.ok(Buffer.byteLength(JSON.stringify(entry)) < 8192);
});

test('an entry in the store that is none, or is too large, is passed over and named, and hides no other', async () => {
  const { registration, values, names, warned } = setUp([group('db')]);
  values.hold('vms/none', '{"key": 1}');
  values.hold('vms/huge', JSON.stringify({ ...group('db'), pad: 'x'.repeat(9000) }));
  const entry = (name: string) => ({ ...group('db'), key: { group: 'networking.istio.io', kind: 'WorkloadEntry', namespace: 'vms', name }, meta: { ...meta(name, 'vms'), annotations: { 'istio.io/autoRegistrationGroup': 'db' } }, spec: { address: '10.0.0.9', labels: {} } });
  values.hold('vms/good', JSON.stringify(entry('good')));
  await registration.start();
  assert.deepEqual(names(), ['good']);
  assert.deepEqual(warned.toSorted(), ['vms/huge', 'vms/none']);
  await registration.stop();
});

test('all that is there at the start is one change, and a group is not looked for again with each proxy', async () => {
  const all = [group('db'), ...Array.from({ length: 20 }, (_, n) => group(`other${n}`))];
  let reads = 0;
  const configs = { *[Symbol.iterator]() { reads += 1; yield* all; } };
  const { registration, connect, values, changes } = setUp(configs as unknown as Config[]);
  const first = setUp(all);
  for (let n = 0; n < 50; n += 1) first.connect(proxy({ NETWORK: `n${n}` }));
  for (const each of first.registration.entries) values.hold(`vms/${each.key.name}`, JSON.stringify(each));
  await registration.start();
  assert.deepEqual([registration.entries.length, changes], [50, ['registered workloads are read']]);
  for (let n = 0; n < 50; n += 1) connect(proxy({ NETWORK: `n${n}` }));
  assert.equal(reads, 1);
  registration.groupsChanged();
  connect(proxy({ NETWORK: 'new' }));
  assert.equal(reads, 2);
  await registration.stop();
});

test('whose entries came, went or are different is told, and of no others', () => {
  const { registration, connect, objects, clock } = setUp([group('db', {}, { probe: { tcpSocket: { port: 1 } } })]);
  const [one, two] = [proxy({}), proxy({ NETWORK: 'two' })];
  const [first, second] = ['db-10.0.0.7', 'db-10.0.0.7-two'].map((name) => [`networking.istio.io/WorkloadEntry/vms/${name}`]);
  connect(one);
  connect(two);
  registration.health(two, undefined);
  registration.disconnect(one);
  clock.advance(10_000);
  assert.deepEqual(objects, [first, second, second, first]);
});

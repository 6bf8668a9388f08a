import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObjectDistribution_State, ProxyLag_State, type ObjectDistribution } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor } from '@meltemi/base';
import { keyText, type ConfigKey } from '@meltemi/config';
import { translate } from '@meltemi/pilot';
import { xdsType } from '@meltemi/xds';
import { distributionOf } from './distribution.ts';
import { FakeMesh } from './testing/fake-mesh.test-support.ts';

const { ABSENT, IN_FORCE, PENDING, SET_ASIDE } = ObjectDistribution_State;
const entry = (name: string, port = 80, more = '') => `apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ${name}, namespace: default}
spec: {hosts: [${name}.example.com], ports: [{number: ${port}, name: http, protocol: HTTP}], resolution: DNS${more}}
`;

/** A mesh with real translation, past its start. */
async function meshWith(...proxies: string[]) {
  const mesh = new FakeMesh({ translate }).settled();
  const handlers = proxies.map((name) => mesh.connect(name));
  for (const name of proxies) await mesh.pushed(name, '1');
  for (const handler of handlers) handler.onSettle?.('1', []);
  return { mesh, handlers };
}

async function look(mesh: FakeMesh, key: ConfigKey | undefined): Promise<ObjectDistribution> {
  assert.ok(key);
  const [found] = await distributionOf(mesh.parts, [key], { maxNamed: 10 });
  assert.ok(found);
  return found;
}

test('an object is where the revision that brought it was acknowledged; who lags is named with what is awaited', async () => {
  const { mesh, handlers: [fast] } = await meshWith('fast', 'slow');
  const [key] = mesh.write(entry('one'));
  assert.equal((await look(mesh, key)).state, PENDING);
  mesh.clock.advance(1000);
  await mesh.pushed('slow', '2');
  fast?.onSettle?.('2', []);
  const found = await look(mesh, key);
  assert.deepEqual([found.state, found.proxies, found.following, found.lagging, found.refusing, found.followers], [IN_FORCE, 2, 1, 1, 0, ['fast.default']]);
  assert.deepEqual(found.laggards, [{ proxyId: 'slow.default', state: ProxyLag_State.LAGGING, detail: 'has not acknowledged RDS' }]);
});

test('an object written before a proxy connected is there once the proxy has answered what it was given first', async () => {
  const { mesh } = await meshWith();
  const [key] = mesh.write(entry('one'));
  mesh.clock.advance(1000);
  const late = mesh.connect('late');
  await mesh.pushed('late', '2');
  assert.equal((await look(mesh, key)).lagging, 1);
  late.onSettle?.('2', []);
  assert.equal((await look(mesh, key)).following, 1);
});

test('a proxy that cannot see an object, or whom its revision changed nothing for, follows without being concerned', async () => {
  const { mesh, handlers } = await meshWith('near', 'far.elsewhere');
  const [hidden] = mesh.write(entry('hidden', 80, ', exportTo: ["."]'));
  mesh.clock.advance(1000);
  await mesh.pushed('far.elsewhere', '2');
  for (const handler of handlers) handler.onSettle?.('2', []);
  const found = await look(mesh, hidden);
  assert.deepEqual([found.following, found.notConcerned, found.followers], [2, 1, ['near.default']]);
  const [nobodys] = mesh.write('apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: nobodys, namespace: default}\nspec: {host: nobody.example.com}\n');
  mesh.clock.advance(1000);
  await mesh.pushed('far.elsewhere', '3');
  for (const handler of handlers) handler.onSettle?.('3', []);
  assert.equal((await look(mesh, nobodys)).notConcerned, 2);
});

test('a refusal counts against the object that the refused resource shows, and against no other of its revision', async () => {
  const { mesh, handlers: [proxy] } = await meshWith('a');
  const [bad, good] = mesh.write(`${entry('bad', 8081)}---\n${entry('good', 8082)}`);
  mesh.clock.advance(1000);
  await mesh.pushed('a', '2');
  // As if it could not be told before it is settled: the proxy answers, and pilot has not blamed anybody.
  proxy?.onNack?.(xdsType.cluster, { version: 'x', message: 'no such resolver', resources: ['outbound|8081||bad.example.com'] });
  proxy?.onSettle?.('2', [{ typeUrl: xdsType.cluster, name: 'outbound|8081||bad.example.com' }]);
  const refused = await look(mesh, bad);
  assert.deepEqual(refused.laggards, [{ proxyId: 'a.default', state: ProxyLag_State.REFUSED, detail: 'CDS outbound|8081||bad.example.com: no such resolver' }]);
  assert.equal((await look(mesh, good)).following, 1);
});

test('an object that pilot set aside is at no proxy, and says why', async () => {
  const { mesh } = await meshWith('a');
  const [key] = mesh.write(entry('odd'));
  const text = [...mesh.entries.keys()].find((each) => each.endsWith('/odd')) ?? '';
  const stored = mesh.entries.get(text);
  assert.ok(stored && key);
  mesh.entries.set(text, { ...stored, errors: [{ path: 'spec.hosts', message: 'is odd' }] });
  const found = await look(mesh, key);
  assert.deepEqual([found.state, found.following, found.lagging, found.lastGoodInForce, found.reasons], [SET_ASIDE, 0, 1, true, [{ path: 'spec.hosts', message: 'is odd' }]]);
});

test('a removed object is gone where the removal was acknowledged', async () => {
  const { mesh, handlers: [proxy] } = await meshWith('a');
  const [key] = mesh.write(entry('one'));
  assert.ok(key);
  mesh.clock.advance(1000);
  await mesh.pushed('a', '2');
  proxy?.onSettle?.('2', []);
  const gone = mesh.wait({ version: '', ask: { objects: [key], removed: true } });
  await waitFor('the first report', () => gone.seen.length > 0);
  mesh.remove(key);
  mesh.clock.advance(1000);
  await mesh.pushed('a', '3');
  assert.deepEqual([(await look(mesh, key)).state, (await look(mesh, key)).lagging], [ABSENT, 1]);
  proxy?.onSettle?.('3', []);
  assert.equal((await gone.end)?.done, true);
});

test('a wait for objects ends at the share of proxies asked for, and names each object’s laggards', async () => {
  const { mesh, handlers: [fast] } = await meshWith('fast', 'slow');
  const [key] = mesh.write(entry('one'));
  assert.ok(key);
  const half = mesh.wait({ ask: { objects: [key], threshold: 0.5 } });
  const over = new AbortController();
  const all = mesh.wait({ ask: { objects: [key] }, signal: over.signal });
  await mesh.pushed('slow', '2');
  fast?.onSettle?.('2', []);
  assert.equal((await half.end)?.done, true);
  over.abort();
  const last = await all.end;
  assert.deepEqual([last?.done, last?.timedOut, last?.objects[0]?.laggards.map(({ proxyId }) => proxyId)], [false, true, ['slow.default']]);
});

test('a wait for an object that does not exist, and for another generation, says so', async () => {
  const { mesh, handlers: [proxy] } = await meshWith('a');
  const none = await mesh.wait({ version: '', ask: { objects: [{ group: 'networking.istio.io', kind: 'ServiceEntry', namespace: 'default', name: 'none' }] } }).end;
  assert.deepEqual([none?.done, none?.timedOut, none?.objects[0]?.state], [false, false, ABSENT]);
  const [key] = mesh.write(entry('one'));
  assert.ok(key);
  const second = mesh.wait({ version: '', ask: { objects: [key], generation: '2' } });
  await mesh.pushed('a', '2');
  proxy?.onSettle?.('2', []);
  await waitFor('the first version to be everywhere', () => second.seen.at(-1)?.objects[0]?.following === 1);
  mesh.write(entry('one', 81));
  mesh.clock.advance(1000);
  await mesh.pushed('a', '3');
  proxy?.onSettle?.('3', []);
  assert.equal((await second.end)?.done, true);
});

test('the entry of a proxy that registered itself is told of like any object', async () => {
  const { mesh, handlers: [one] } = await meshWith('one');
  const base = { ports: {}, network: '', locality: '', weight: 0, serviceAccount: '' };
  const key = { group: 'networking.istio.io', kind: 'WorkloadEntry', namespace: 'default', name: 'vm' };
  const registered = { key, apiVersion: 'networking.istio.io/v1', meta: { name: 'vm', namespace: 'default', labels: {}, annotations: {}, creationTimestamp: '' }, spec: { ...base, address: '10.0.0.7', labels: { app: 'a' } } };
  assert.equal((await look(mesh, key)).state, ABSENT);
  mesh.registered = [registered];
  mesh.discovery.changed('registered', [keyText(key)]);
  assert.equal((await look(mesh, key)).state, PENDING);
  mesh.clock.advance(1000);
  await mesh.pushed('one', '2');
  const sent = await look(mesh, key);
  assert.deepEqual([sent.state, sent.following, sent.lagging], [IN_FORCE, 0, 1]);
  one?.onSettle?.('2', []);
  assert.equal((await look(mesh, key)).following, 1);
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { channelCredentials } from '@meltemi/identity-edge';
import { waitFor } from '@meltemi/base';
import { startEtcdCluster, type EtcdCluster } from '@meltemi/config-edge/testing';
import { dialPeer } from '@meltemi/pilot-edge';
import { xdsType } from '@meltemi/xds';
import { CitadelProgram } from './testing/citadel-program.ts';
import { reviews, route } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';
import { XdsFollower, type FollowerOptions } from './testing/xds-follower.ts';

const group = `apiVersion: networking.istio.io/v1
kind: WorkloadGroup
metadata: {name: vms, namespace: default}
spec: {template: {serviceAccount: vm}, metadata: {labels: {app: reviews, version: v2}}}
`;
const citadel = new CitadelProgram();
let etcd: EtcdCluster;
let a: PilotProgram;
let b: PilotProgram;
const programs: PilotProgram[] = [];
const followers: XdsFollower[] = [];

async function pilot(name: string): Promise<PilotProgram> {
  const program = new PilotProgram(['--plaintext-listen', '127.0.0.1:0', '--pilot-name', name, '--store', `etcd://${etcd.endpoints[0]}`, '--reconnect-grace', '1s', ...(await citadel.pilotFlags())], { PILOT_WORKLOAD_ENTRY_GRACE_PERIOD: '4s' });
  programs.push(program);
  program.write('reviews.yaml', `${reviews}---\n${group}`);
  return program.start();
}

/** A sidecar that answers all but routes, when it is to be silent. */
function follow(of: PilotProgram, name: string, { silent = false, ...options }: Partial<FollowerOptions> & { silent?: boolean } = {}): XdsFollower {
  const follower = new XdsFollower({ address: of.address('xds-plaintext'), name: `${name}.default`, ...options });
  if (silent) follower.answer = (update) => (update.typeUrl === xdsType.route ? 'silence' : 'ack');
  followers.push(follower);
  return follower;
}

before(async () => {
  [etcd] = await Promise.all([startEtcdCluster(), citadel.start()]);
  [a, b] = await Promise.all([pilot('a'), pilot('b')]);
});
after(async () => {
  await Promise.all(followers.map((follower) => follower.stop()));
  await Promise.all(programs.map((program) => program.remove()));
  await etcd.stop();
  await citadel.remove();
});

test('whichever pilot is asked, the proxies of all are told of', async () => {
  await Promise.all([follow(a, 'one').route(/reviews/), follow(b, 'two').route(/reviews/)]);
  for (const each of [a, b]) {
    const ran = await waitFor('both proxies', async () => {
      const status = await each.meltemi(['proxy-status']);
      return /one\.default.* a /.test(status.out) && /two\.default.* b /.test(status.out) && status;
    }, { deadlineMs: 15_000 });
    assert.equal(ran.err, '');
  }
  assert.match((await b.meltemi(['version'])).out, /control plane \(b\)[^]*control plane \(a\)[^]*data plane \(2 proxies\)/);
});

test('apply --wait and wait are over when the proxies of the other pilot follow, too; get counts them', async () => {
  const applied = await a.apply(route('v1'), '--wait=20s');
  assert.deepEqual([applied.code, applied.err], [0, 'live at 2 proxies\n']);
  await Promise.all(followers.map((follower) => follower.route(/"outbound\|9080\|v1\|/)));
  const silent = follow(b, 'three', { silent: true });
  await waitFor('it to be connected', () => silent.connected);
  const late = await a.apply(route('v2'), '--wait=1s');
  assert.equal(late.code, 1);
  assert.match(late.err, /VirtualService default\/reviews is at 2 of 3 proxies\n +three\.default lags: has not acknowledged RDS/);
  assert.match((await a.meltemi(['get', 'vs', '-o', 'wide'])).out, /reviews +in force +2\/3 /);
  assert.equal((await a.meltemi(['wait', 'vs', 'reviews', '--threshold', '0.6', '--timeout', '5s'])).code, 0, 'the share is one of all proxies');
  await silent.stop();
  const done = await a.meltemi(['wait', 'vs', 'reviews', '--timeout', '15s']);
  assert.deepEqual([done.code, done.out], [0, 'VirtualService default/reviews is at 2/2 proxies\n'], done.err);
});

test('nobody but a pilot is told anything at the door for pilots', async () => {
  const address = b.address('peer');
  const [stranger, friend] = [await citadel.identity('default/productpage'), await citadel.identity('istio-system/meltemi-pilot')];
  const asked = dialPeer(address, channelCredentials(stranger, 'pilot'));
  await assert.rejects(asked.proxyStatus({ proxyId: '' }), /sa\/productpage may not call this service/);
  asked.close();
  const peer = dialPeer(address, channelCredentials(friend, 'pilot'));
  assert.deepEqual((await peer.proxyStatus({ proxyId: '' })).proxies.map(({ proxyId }) => proxyId), ['two.default']);
  peer.close();
});

/** A machine outside of Kubernetes that registers itself. */
async function machine(of: PilotProgram): Promise<XdsFollower> {
  const agent = await citadel.identity('default/vm');
  return follow(of, 'vm', { address: of.address('xds'), serviceAccount: 'vm', credentials: () => channelCredentials(agent, 'pilot'), metadata: { AUTO_REGISTER_GROUP: 'vms' } });
}

const registered = async (at: PilotProgram) => (await at.list('WorkloadEntry')).objects.map(({ key, origin }) => `${key?.name} ${origin}`);

test('a pilot that starts again is not missed as the one that it was', async () => {
  await b.kill();
  await b.start();
  assert.equal((await a.meltemi(['proxy-status'])).err, '');
});

test('a machine that registered itself is known to every pilot', async () => {
  const vm = await machine(b);
  await waitFor('its entry at both', async () => (await Promise.all([a, b].map(registered))).every(({ length }) => length === 1), { deadlineMs: 10_000 });
  assert.deepEqual(await registered(a), ['vms-127.0.0.1 source:its proxy, which registered itself']);
  assert.match(await (await fetch(`http://${a.address('admin')}/debug/endpointz`)).text(), /"127\.0\.0\.1"/);
  assert.equal(vm.connected, true);
  for (const each of [a, b]) {
    const waited = await each.meltemi(['wait', 'workloadentry', 'vms-127.0.0.1', '--timeout', '15s']);
    assert.deepEqual([waited.code, waited.out], [0, 'WorkloadEntry default/vms-127.0.0.1 is at 3/3 proxies\n'], waited.err);
  }
});

test('a pilot that is killed is named while it is missed, and a wait goes on until its proxies follow elsewhere', async () => {
  const [, two] = followers;
  assert.ok(two);
  two.answer = (update) => (update.typeUrl === xdsType.route ? 'silence' : 'ack');
  let over = false;
  const waiting = a.apply(route('v1'), '--wait=60s').finally(() => { over = true; });
  await followers[0]?.route(/"outbound\|9080\|v1\|/);
  const lost = followers.at(-1);
  await b.kill();
  // It goes to the other pilot a little later; its entry is never missing there meanwhile, nor when the dead pilot's lease is over.
  const gaps: number[] = [];
  const watching = setInterval(() => void registered(a).then(({ length }) => length === 1 || gaps.push(performance.now())), 50);
  await lost?.stop();
  const status = await a.meltemi(['proxy-status']);
  assert.match(status.err, /^this is what pilot a alone knows, of 2 pilots over its store\npilot b at 127\.0\.0\.1:\d+ does not answer, its proxies are missing here: /);
  assert.doesNotMatch(status.out, /two\.default/);
  assert.match((await a.meltemi(['wait', 'vs', 'reviews', '--timeout', '1s'])).err, /at 1 of 1 proxies\n +pilot b lags: does not answer at 127\.0\.0\.1:\d+: /);
  const vm = await machine(a);
  await two.stop();
  const moved = follow(a, 'two', { silent: true });
  await waitFor('pilot b to be given up', () => /another pilot is gone/.test(a.log), { deadlineMs: 20_000 });
  assert.equal((await a.meltemi(['proxy-status'])).err, '');
  assert.equal(over, false, 'its proxy has the old routes still');
  clearInterval(watching);
  assert.deepEqual(gaps, []);
  await vm.stop();
  await moved.stop();
  await follow(a, 'two').route(/"outbound\|9080\|v1\|/);
  const applied = await waiting;
  assert.deepEqual([applied.code, applied.err], [0, 'live at 2 proxies\n']);
  await waitFor('the machine to be forgotten', async () => (await registered(a)).length === 0, { deadlineMs: 12_000 });
});

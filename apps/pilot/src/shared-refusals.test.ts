import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { startEtcdCluster } from '@meltemi/config-edge/testing';
import { xdsType } from '@meltemi/xds';
import { reviews, route } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';
import { XdsFollower } from './testing/xds-follower.ts';

const victim = (subset: string, name: string) => route(subset, 'victim').replace('- route:', `- name: ${name}\n    route:`);
const service = 'apiVersion: v1\nkind: Service\nmetadata: {name: victim, namespace: default}\nspec: {ports: [{name: http, port: 9080}]}\n';

test('what a proxy of one pilot refuses is set aside by every pilot over the store, over restarts, until it changes', async (t) => {
  const etcd = await startEtcdCluster();
  t.after(() => etcd.stop());
  const start = async (name: string): Promise<PilotProgram> => {
    const pilot = new PilotProgram(['--plaintext-listen', '127.0.0.1:0', '--pilot-name', name, '--store', `etcd://${etcd.endpoints[0]}`]);
    t.after(() => pilot.remove());
    pilot.write('reviews.yaml', `${reviews}---\n${service}`);
    return pilot.start();
  };
  const follow = (pilot: PilotProgram, name: string): XdsFollower => {
    const follower = new XdsFollower({ address: pilot.address('xds-plaintext'), name: `${name}.default` });
    t.after(() => follower.stop());
    return follower;
  };
  const setAside = (pilot: PilotProgram) => waitFor('it to be set aside', async () => (await pilot.list('VirtualService')).objects.some(({ key, quarantine, lastGoodInForce }) => key?.name === 'victim' && lastGoodInForce && /picky\.default refused its configuration/.test(JSON.stringify(quarantine))));

  const [a, b] = await Promise.all([start('a'), start('b')]);
  const [picky, easy] = [follow(a, 'picky'), follow(b, 'easy')];
  picky.answer = (update) => (update.typeUrl === xdsType.route && update.added.some(({ any }) => Buffer.from(any.value).includes('poison')) ? { nack: 'this route makes me ill' } : 'ack');
  assert.equal((await a.apply(victim('v1', 'healthy'))).code, 0);
  await Promise.all([picky.route(/healthy/), easy.route(/healthy/)]);
  await waitFor('the last good version to be kept', () => [a, b].some(({ log }) => /VirtualService\/default\/victim[^\n]*last good versions kept/.test(log)));

  // Of two that change together one is to blame: that is found out where the proxy is that refuses, while the other pilot's proxies take both.
  assert.equal((await b.apply(`${victim('v2', 'poison')}---\n${route('v2')}`)).code, 0);
  await Promise.all([a, b].map(setAside));
  await Promise.all([picky, easy].map((each) => each.route(/outbound\|9080\|v2[^]*healthy/)));
  const waited = await b.meltemi(['wait', 'vs', 'victim']);
  assert.equal(waited.code, 1);
  assert.match(waited.err, /VirtualService default\/victim is set aside; its last good version stays in force[^]*picky\.default refused its configuration \(RDS 9080\): .*this route makes me ill/);

  // Without certificates they cannot ask each other, and say so.
  assert.match((await b.meltemi(['proxy-status'])).err, /^this is what pilot b alone knows, of 2 pilots over its store\npilot a cannot be asked, its proxies are missing here: it has no certificate of the mesh to be asked with \(--citadel-address\)\n/);
  const fine = await b.meltemi(['wait', 'dr', 'reviews', '--timeout', '60s']);
  assert.equal(fine.code, 1);
  assert.match(`${fine.out}${fine.err}`, /pilot a\b[^\n]*cannot be asked, so that nothing is known of its proxies: [^\n]*--citadel-address/);

  // Neither the proxy that refused nor its pilot has to be there.
  await picky.stop();
  await a.kill();
  await b.kill();
  await b.start();
  await waitFor('the proxy to be back', () => easy.connected);
  await setAside(b);
  assert.equal((await b.apply(route('v1'))).code, 0);
  await easy.route(/^(?!.*9080\|v2).*healthy/);

  await a.start();
  await setAside(a);
  assert.equal((await a.apply(victim('v2', 'mended'))).code, 0);
  await Promise.all([easy.route(/mended/), follow(a, 'third').route(/mended/)]);
});

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { startEtcdCluster } from '@meltemi/config-edge/testing';
import { xdsType } from '@meltemi/xds';
import type { AdsUpdate } from '@meltemi/xds-edge';
import { reviews, route } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';
import { XdsFollower, type Answer } from './testing/xds-follower.ts';

const plaintext = ['--plaintext-listen', '127.0.0.1:0'];

/** A proxy that does not take a route table with the poisonous route in it. */
function refusesPoison(update: AdsUpdate): Answer {
  const poisonous = update.typeUrl === xdsType.route && update.added.some(({ any }) => Buffer.from(any.value).includes('poison'));
  return poisonous ? { nack: 'this route makes me ill' } : 'ack';
}

const bad = (name: string) => route('v1', name).replace('- route:', '- name: poison\n    route:');
const good = (name: string) => route('v2', name).replace('- route:', `- name: good-${name}\n    route:`);
const together = `${good('one')}---\n${bad('victim')}---\n${good('two')}`;
const services = ['one', 'two', 'victim'].map((name) => `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: default}\nspec: {ports: [{name: http, port: 9080}]}\n`).join('---\n');

for (const store of ['directory', 'etcd'] as const) void describe(`what a live proxy refuses, kept in ${store === 'etcd' ? 'etcd' : 'a directory'}`, () => {
  test('of several objects applied at once the one to blame is set aside, the others are live; so it stays over a restart of pilot', () => withPilot(store, async (pilot, proxy) => {
    proxy.answer = refusesPoison;
    const applied = await pilot.apply(together, '--wait');
    assert.equal(applied.code, 1, applied.err);
    assert.match(applied.err, /VirtualService default\/victim is set aside\n[^]*productpage-v1-0\.default refuses: RDS 9080: .*this route makes me ill/);
    assert.doesNotMatch(applied.err, /VirtualService default\/(one|two)/);
    await proxy.route(/good-one[^]*good-two|good-two[^]*good-one/);
    assert.equal((await pilot.meltemi(['wait', 'vs', 'two'])).out, 'VirtualService default/two is at 1/1 proxies\n');
    await waitFor('the refusal to be kept', () => /VirtualService\/default\/victim[^\n]*last good versions kept/.test(pilot.log));

    await pilot.kill();
    await pilot.start();
    await waitFor('the proxy to be back', () => proxy.connected);
    const before = proxy.responses.length;
    const waited = await pilot.meltemi(['wait', 'vs', 'victim']);
    assert.equal(waited.code, 1);
    assert.match(waited.err, /VirtualService default\/victim is set aside\n {2}productpage-v1-0\.default refused its configuration \(RDS 9080\): .*this route makes me ill/);
    assert.equal((await pilot.meltemi(['wait', 'vs/one'])).code, 0);
    assert.deepEqual(proxy.responses.slice(before), [], 'nothing was tried again');

    proxy.answer = () => 'ack';
    const mended = await pilot.apply(good('victim'), '--wait');
    assert.equal(mended.code, 0, mended.err);
    await proxy.route(/good-victim/);
  }));

  test('a bad version found at the start, of which no proxy has been asked, is found out by the first refusal; its last good version goes out', () => withPilot(store, async (pilot, proxy) => {
    pilot.write('victim.yaml', good('victim'));
    await proxy.route(/good-victim/);
    await waitFor('the last good version to be kept', () => /VirtualService\/default\/victim[^\n]*last good versions kept/.test(pilot.log));
    await pilot.kill();
    proxy.answer = refusesPoison;
    pilot.write('victim.yaml', bad('victim'));
    pilot.write('two.yaml', good('two'));
    await pilot.start();
    await proxy.route(/good-two/);
    assert.match(JSON.stringify(proxy.held(xdsType.route, '9080')), /good-victim/);
    assert.match((await pilot.meltemi(['wait', 'vs', 'victim'])).err, /VirtualService default\/victim is set aside; its last good version stays in force/);
    const fine = await pilot.meltemi(['wait', 'vs', 'two']);
    assert.equal(fine.code, 0, fine.err);
    const explained = await pilot.meltemi(['get', 'vs', 'victim', '-o', 'wide']);
    assert.match(explained.err, /victim\.yaml:1: VirtualService default\/victim: productpage-v1-0\.default refused its configuration \(RDS 9080\)/);
  }));
});

test('the same bad version is found out again after a good one was in between', () => withPilot('directory', async (pilot, proxy) => {
  proxy.answer = refusesPoison;
  for (let turn = 0; turn < 2; turn++) {
    assert.equal((await pilot.apply(good('victim'), '--wait')).code, 0);
    const refused = await pilot.apply(bad('victim'), '--wait');
    assert.equal(refused.code, 1);
    assert.match(refused.err, /VirtualService default\/victim is set aside; its last good version stays in force/, `turn ${turn}`);
  }
  await proxy.route(/good-victim/);
}));

async function withPilot(store: 'directory' | 'etcd', run: (pilot: PilotProgram, proxy: XdsFollower) => Promise<void>): Promise<void> {
  const cluster = store === 'etcd' ? await startEtcdCluster() : undefined;
  const pilot = new PilotProgram([...plaintext, ...(cluster ? ['--store', `etcd://${cluster.endpoints.join(',').replaceAll('http://', '')}`] : [])]);
  let proxy: XdsFollower | undefined;
  try {
    pilot.write('reviews.yaml', reviews);
    pilot.write('services.yaml', services);
    await pilot.start();
    proxy = new XdsFollower({ address: pilot.address('xds-plaintext') });
    await proxy.route(/reviews/);
    await run(pilot, proxy);
  } finally {
    await proxy?.stop();
    await pilot.remove();
    await cluster?.stop();
  }
}

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { startEtcdCluster, type EtcdCluster } from '@meltemi/config-edge/testing';
import type { ListResponse } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { badRoute, reviews, route } from './testing/manifests.ts';
import { PilotProgram, type Ran } from './testing/pilot-program.ts';
import { XdsFollower } from './testing/xds-follower.ts';

const plaintext = ['--plaintext-listen', '127.0.0.1:0'];

void describe('what is wrong in the watched directory', () => {
  test('is set aside with file and line while its last good version stays in force, through a SIGKILL too', () => withPilot(plaintext, async (pilot, proxy) => {
    pilot.write('route.yaml', route('v1'));
    await proxy.route(/outbound\|9080\|v1/);
    await lastGoodKept(pilot);
    pilot.write('route.yaml', badRoute);
    await quarantined(pilot, 'reviews');
    const shown = await pilot.meltemi(['get', 'vs']);
    assert.equal(shown.code, 0);
    assert.match(shown.out, /VirtualService +default +reviews +QUARANTINED \(last good in force\) +source:.*route\.yaml:1/);
    assert.match(shown.err, /route\.yaml:6: VirtualService default\/reviews: spec\.htttp: unknown field "htttp"/);
    assert.match((await pilot.meltemi(['proxy-status'])).err, /1 object is quarantined/);

    await pilot.kill();
    await pilot.start();
    await quarantined(pilot, 'reviews');
    live(await pilot.apply(route('v2', 'other'), '--wait'));
    assert.match(JSON.stringify(proxy.held('type.googleapis.com/envoy.config.route.v3.RouteConfiguration', '9080')), /outbound\|9080\|v1/);

    pilot.write('route.yaml', route('v2'));
    await proxy.route(/outbound\|9080\|v2/);
  }));

  test('an unreadable file keeps its objects, also when pilot starts with it; the cause is named with its line', () => withPilot(plaintext, async (pilot, proxy) => {
    pilot.write('route.yaml', route('v1'));
    await proxy.route(/outbound\|9080\|v1/);
    await lastGoodKept(pilot);
    pilot.write('route.yaml', `${route('v2')}  broken: [\n`);
    await problems(pilot, /route\.yaml/);
    await pilot.kill();
    await pilot.start();
    await proxy.route(/outbound\|9080\|v1/);
    const shown = await pilot.meltemi(['get']);
    assert.match(shown.out, /VirtualService +default +reviews +QUARANTINED \(last good in force\)/);
    assert.match(shown.err, /route\.yaml:9: .*not readable YAML/);

    rmSync(join(pilot.config, 'route.yaml'));
    await waitFor('the object to go with its file', async () => !(await pilot.list('VirtualService')).objects.some((object) => object.key?.name === 'reviews'));
    await proxy.route(/^(?!.*outbound\|9080\|v1)/);
  }));

  test('unreadable YAML, unknown kinds and unknown fields are named with file and line; all else works', () => withPilot(plaintext, async (pilot, proxy) => {
    pilot.write('a.yaml', 'kind: [unclosed\n');
    pilot.write('b.yaml', '# a comment\napiVersion: networking.istio.io/v1\nkind: VirtualServise\nmetadata: {name: typo}\nspec: {}\n');
    pilot.write('c.yaml', `---\n${badRoute.replace('name: reviews', 'name: mistaken')}`);
    pilot.write('d.yaml', 'just text\n');
    pilot.write('good.yaml', route('v2'));
    pilot.write('same.yaml', route('v1'));
    await proxy.route(/outbound\|9080\|v2/);
    await problems(pilot, /d\.yaml/);
    const { err, code } = await pilot.meltemi(['get']);
    assert.equal(code, 0);
    assert.match(err, /a\.yaml:[12]: .*not readable YAML/);
    assert.match(err, /b\.yaml:3: VirtualServise default\/typo: kind: "VirtualServise" is not a kind of networking\.istio\.io; did you mean "VirtualService"\?/);
    assert.match(err, /c\.yaml:7: VirtualService default\/mistaken: spec\.htttp: unknown field "htttp"/);
    assert.match(err, /d\.yaml:1: /);
    assert.match(err, /good\.yaml:1: .*which comes first and wins|same\.yaml:1: .*which comes first and wins/);
    const json = await pilot.meltemi(['get', '-o', 'json']);
    assert.ok(Array.isArray(JSON.parse(json.out)));
    live(await pilot.apply(route('v1', 'more'), '--wait'));
  }));
});

void describe('what is wrong in etcd', () => {
  test('is set aside and reported, its last good version stays in force through a SIGKILL, everything else goes on', () => withEtcd((cluster) => withPilot([...plaintext, '--store', `etcd://${cluster.endpoints.join(',').replaceAll('http://', '')}`], async (pilot, proxy) => {
    live(await pilot.apply(route('v1'), '--wait'));
    await proxy.route(/outbound\|9080\|v1/);
    await lastGoodKept(pilot);
    const key = etcdctl(cluster, ['get', '--prefix', '/', '--keys-only']).split('\n').find((line) => line.includes('/config/') && line.endsWith('/VirtualService/default/reviews'));
    assert.ok(key);
    const object = JSON.parse(etcdctl(cluster, ['get', key, '--print-value-only'])) as { spec: object };
    etcdctl(cluster, ['put', key], JSON.stringify({ ...object, spec: { ...object.spec, htttp: [] } }));
    await quarantined(pilot, 'reviews');
    etcdctl(cluster, ['put', key.replace(/reviews$/, 'junk')], '{not json');
    await problems(pilot, /junk/);
    assert.match((await pilot.meltemi(['get'])).err, /junk: .*/);
    live(await pilot.apply(route('v2', 'other'), '--wait'));

    await pilot.kill();
    await pilot.start();
    await quarantined(pilot, 'reviews');
    await waitFor('the proxy to be back', () => proxy.connected);
    const before = proxy.responses.length;
    live(await pilot.apply(route('v1', 'another'), '--wait'));
    assert.deepEqual(proxy.responses.slice(before), []);

    etcdctl(cluster, ['put', key], '{not json either');
    await problems(pilot, /reviews/);
    await pilot.kill();
    await pilot.start();
    await quarantined(pilot, 'reviews');
    await proxy.route(/outbound\|9080\|v1/);
    live(await pilot.apply(route('v2'), '--wait'));
    await proxy.route(/outbound\|9080\|v2/);
  })));
});

function live({ code, err }: Ran): void {
  assert.equal(code, 0, err);
}

async function withPilot(flags: readonly string[], run: (pilot: PilotProgram, proxy: XdsFollower) => Promise<void>): Promise<void> {
  const pilot = new PilotProgram(flags);
  pilot.write('reviews.yaml', reviews);
  let proxy: XdsFollower | undefined;
  try {
    await pilot.start();
    proxy = new XdsFollower({ address: pilot.address('xds-plaintext') });
    await proxy.route(/reviews/);
    await run(pilot, proxy);
  } finally {
    await proxy?.stop();
    await pilot.remove();
  }
}

async function withEtcd(run: (cluster: EtcdCluster) => Promise<void>): Promise<void> {
  const cluster = await startEtcdCluster();
  try {
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}

function etcdctl(cluster: EtcdCluster, args: readonly string[], stdin = ''): string {
  return execFileSync('etcdctl', ['--endpoints', cluster.endpoints.join(','), ...args], { input: stdin, encoding: 'utf8', env: { PATH: process.env['PATH'], ETCDCTL_API: '3' } }).trim();
}

function quarantined(pilot: PilotProgram, name: string): Promise<boolean> {
  return listed(pilot, `${name} in quarantine`, ({ objects }) => objects.some((object) => object.key?.name === name && object.quarantine !== undefined && object.lastGoodInForce));
}

function problems(pilot: PilotProgram, file: RegExp): Promise<boolean> {
  return listed(pilot, `a problem of ${String(file)}`, (list) => list.problems.some((problem) => file.test(problem.file)));
}

function listed(pilot: PilotProgram, what: string, matches: (list: ListResponse) => boolean): Promise<boolean> {
  return waitFor(what, async () => matches(await pilot.list()));
}

/** The last good version is written behind; a kill right after an apply is another story. */
function lastGoodKept(pilot: PilotProgram): Promise<boolean> {
  return waitFor('the last good version to be kept', () => /VirtualService\/default\/reviews[^\n]*last good versions kept/.test(pilot.log));
}

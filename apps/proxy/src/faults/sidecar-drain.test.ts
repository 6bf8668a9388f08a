import assert from 'node:assert/strict';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend } from '../testing/backend.ts';
import { bootstrap, cluster, endpoint, httpListener, route, type Json } from '../testing/bootstrap.ts';
import { RawConnection, request, untilRefused } from '../testing/client.ts';
import { startProxy, temporaryFolder } from '../testing/proxy-process.ts';

const to = (name: string) => [route({ prefix: '/' }, { cluster: name, timeout: '0s' })];
const inbound = { traffic_direction: 'INBOUND' };
const outbound = { traffic_direction: 'OUTBOUND' };

/** A sidecar: in front of `app`, and on the way to it. */
function sidecar(app: number, args: readonly string[]) {
  return startProxy(bootstrap([httpListener({ name: 'in', routes: to('app'), listener: inbound }), httpListener({ name: 'out', routes: to('app'), listener: outbound })], [cluster('app', [app])]), { args });
}

test('an application without any connection finds outbound open until the minimum drain duration is over', async (t) => {
  const app = await backend('app');
  t.after(() => app.stop());
  await using proxy = await sidecar(app.port, ['--drain-timeout', '15s', '--minimum-drain-duration', '3s']);
  const began = performance.now();
  proxy.signal('SIGTERM');
  await untilRefused(proxy.port('in'));
  // What an application does at its end: now and then a call on a connection of its own, nothing in between.
  while (performance.now() - began < 2500) {
    assert.equal((await request(proxy.port('out'))).status, 200);
    await sleep(400);
  }
  assert.equal((await proxy.ended).code, 0);
  const took = performance.now() - began;
  assert.ok(took >= 3000 && took < 12_000, `ended after ${Math.round(took)} ms`);
  await assert.rejects(request(proxy.port('out')));
});

test('calls that go on keep outbound open past the minimum; it ends when they stop for the quiet time', async (t) => {
  const app = await backend('app');
  t.after(() => app.stop());
  await using proxy = await sidecar(app.port, ['--drain-timeout', '20s', '--minimum-drain-duration', '200ms', '--drain-quiet-time', '1500ms', '--concurrency', '2']);
  const began = performance.now();
  proxy.signal('SIGTERM');
  await untilRefused(proxy.port('in'));
  let last = 0;
  while (performance.now() - began < 4000) {
    assert.equal((await request(proxy.port('out'))).status, 200);
    last = performance.now();
    await sleep(300);
  }
  assert.equal((await proxy.ended).code, 0);
  const quiet = performance.now() - last;
  assert.ok(quiet >= 1400 && quiet < 10_000, `ended ${Math.round(quiet)} ms after the last call`);
});

test('a connection that the application keeps open keeps outbound open, idle as it may be; the deadline ends it', async (t) => {
  const app = await backend('app');
  t.after(() => app.stop());
  await using proxy = await sidecar(app.port, ['--drain-timeout', '5s', '--minimum-drain-duration', '0s', '--drain-quiet-time', '0s']);
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  assert.equal((await request(proxy.port('out'), { agent })).status, 200);
  const began = performance.now();
  proxy.signal('SIGTERM');
  await untilRefused(proxy.port('in'));
  await sleep(3500);
  const { status, headers } = await request(proxy.port('out'), { agent });
  assert.equal(status, 200);
  assert.notEqual(headers['connection'], 'close');
  assert.equal((await request(proxy.port('out'))).status, 200);
  assert.equal((await proxy.ended).code, 0);
  assert.ok(performance.now() - began >= 4900, 'ended before its deadline');
});

test('with --exit-on-zero-active-connections=false a sidecar stays for the whole drain timeout, as pilot-agent does by default', async (t) => {
  const app = await backend('app');
  t.after(() => app.stop());
  await using proxy = await sidecar(app.port, ['--drain-timeout', '3s', '--minimum-drain-duration', '0s', '--exit-on-zero-active-connections=false']);
  const began = performance.now();
  assert.equal((await proxy.stop()).code, 0);
  assert.ok(performance.now() - began >= 3000);
});

test('a proxy without sidecar role ends as soon as it is idle: a gateway, whose listeners are outbound by name, turns new clients away at once', async (t) => {
  const app = await backend('app');
  t.after(() => app.stop());
  const waiting = await backend('slow', (_request, response) => void setTimeout(() => response.end('done'), 1500));
  t.after(() => waiting.stop());
  await using proxy = await startProxy(bootstrap(
    [httpListener({ name: 'front', routes: to('slow'), listener: outbound })], [cluster('slow', [waiting.port])], { node: { id: 'router~10.0.0.1~gateway.ns~ns.svc.cluster.local', cluster: 'gateway' } },
  ), { args: ['--drain-timeout', '15s'] });
  const under = new RawConnection(proxy.port('front')).send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await waitFor('the request upstream', () => waiting.seen.length === 1);
  const began = performance.now();
  proxy.signal('SIGTERM');
  await untilRefused(proxy.port('front'), 1000);
  assert.match(await under.untilClosed(), /200 OK\r\n[^]*connection: close\r\n[^]*done/);
  assert.equal((await proxy.ended).code, 0);
  assert.ok(performance.now() - began < 4000, 'waited for nothing');
});

test('configuration is followed to the end: what the application calls late finds the hosts of now, and no inbound listener opens again', async (t) => {
  const dir = temporaryFolder();
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  const [before, now] = await Promise.all([backend('before'), backend('now')]);
  t.after(() => Promise.all([before.stop(), now.stop()]));
  const put = (name: string, type: string, resources: readonly Json[]) => {
    const path = join(dir, name);
    writeFileSync(`${path}.new`, JSON.stringify({ resources: resources.map((resource) => ({ '@type': `type.googleapis.com/envoy.config.${type}`, ...resource })) }));
    renameSync(`${path}.new`, path);
    return { path_config_source: { path }, resource_api_version: 'V3' };
  };
  const hosts = (port: number) => put('eds.json', 'endpoint.v3.ClusterLoadAssignment', [{ cluster_name: 'far', endpoints: [{ lb_endpoints: [endpoint(port)] }] }]);
  const listeners = (serverName: string) => put('lds.json', 'listener.v3.Listener', [
    httpListener({ name: 'in', routes: to('far'), hcm: { server_name: serverName }, listener: inbound }), httpListener({ name: 'out', routes: to('far'), hcm: { server_name: serverName }, listener: outbound }),
  ] as readonly Json[]);
  await using proxy = await startProxy(bootstrap([], [{ name: 'far', type: 'EDS', connect_timeout: '1s', eds_cluster_config: { eds_config: hosts(before.port) } }], { dynamic_resources: { lds_config: listeners('first') } }), { args: ['--drain-timeout', '15s', '--minimum-drain-duration', '5s'] });
  const listening = async () => (await request(proxy.port('admin'), { path: '/listeners' })).body;
  await waitFor('the listeners', async () => /in::[^]*out::/.test(await listening()));
  const port = (name: string, text: string) => Number(new RegExp(`^${name}::[^\n]*:(\\d+)$`, 'm').exec(text)?.[1]);
  const text = await listening();
  assert.equal((await request(port('out', text))).headers['x-backend'], 'before');
  proxy.signal('SIGTERM');
  await untilRefused(port('in', text));
  hosts(now.port);
  listeners('second');
  await waitFor('the hosts of now', async () => (await request(port('out', text))).headers['x-backend'] === 'now', { deadlineMs: 4000 });
  await waitFor('the listener of now', async () => (await request(port('out', text))).headers['server'] === 'second', { deadlineMs: 4000 });
  assert.doesNotMatch(await listening(), /^in::/m);
  assert.equal((await proxy.ended).code, 0);
});

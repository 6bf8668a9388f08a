import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { unknownNode } from '@meltemi/proxy';
import { address, application, ask, httpListener, listenerOf, must, portOf, routeTo, staticCluster, workerServer } from './fixture.ts';
import { isSidecar, untilQuiet } from './program-drain.ts';

test('a listener drains gradually: its clients are asked to leave as the time passes', async (t) => {
  const app = await application(t, (_request, response) => response.end('ok'));
  // Half of the clients are asked when half of the time is over: this one is among the first half.
  const server = workerServer(t, { drainTimeMs: 3000, drainStrategy: 'gradual', random: { next: () => 0.5 } });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const port = portOf(server);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  t.after(() => agent.destroy());
  const get = () => new Promise<http.IncomingMessage>((resolve, reject) => http.get({ port, host: '127.0.0.1', agent }, (response) => resolve(response.resume())).on('error', reject));
  await get();
  const began = performance.now();
  server.drainListeners({ inboundOnly: false, graceful: true, skipExit: true });
  assert.notEqual((await get()).headers['connection'], 'close');
  // A change meanwhile does not start it anew.
  must(await server.setListener(httpListener({ port, routes: [routeTo('app')], hcm: { serverName: 'second' } })));
  const asked = await waitFor('the connection to be asked to leave', async () => {
    const { headers } = await get();
    return headers['connection'] === 'close' && { server: headers['server'], afterMs: performance.now() - began };
  });
  assert.ok(asked.server === 'second' && asked.afterMs >= 1400 && asked.afterMs < 3000, `after ${asked.afterMs} ms`);
});

test('listeners that come or change after a drain by hand drain, too, or do not listen', async (t) => {
  const app = await application(t, (_request, response) => response.end('ok'));
  const server = workerServer(t, { drainTimeMs: 60_000 });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  server.drainListeners({ inboundOnly: false, graceful: true, skipExit: false });
  must(await server.setListener(httpListener({ routes: [routeTo('app')], hcm: { serverName: 'second' } })));
  assert.equal((await ask(portOf(server), { headers: { connection: 'keep-alive' } })).headers['connection'], 'close');
  server.drainListeners({ inboundOnly: false, graceful: false, skipExit: false });
  assert.deepEqual(server.listeners(), []);
  must(await server.setListener(httpListener({ routes: [routeTo('app')], hcm: { serverName: 'third' } })));
  assert.deepEqual(server.listeners(), []);
});

test('a drain by hand that began before this worker has only the rest of its time', async (t) => {
  const app = await application(t, (_request, response) => response.end('ok'));
  const server = workerServer(t, { drainTimeMs: 60_000, drainStrategy: 'gradual' });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const port = portOf(server);
  server.drainListeners({ inboundOnly: false, graceful: true, skipExit: false }, 59_900);
  await waitFor('the port to close', () => new Promise<boolean>((resolve) => {
    const socket = net.connect(port, '127.0.0.1', () => resolve(socket.destroy() && false)).on('error', () => resolve(true));
  }), { deadlineMs: 3000 });
});

test('the port is closed before clients are asked to leave: who comes back at once is refused, not reset in its queue', async (t) => {
  const app = await application(t, (_request, response) => response.end('ok'));
  const server = workerServer(t, { drainTimeMs: 60_000 });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  const client = net.connect(portOf(server), '127.0.0.1').once('readable', () => client.read());
  t.after(() => client.destroy());
  client.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0');
  await once(client, 'readable');
  // From here on what comes stays in the kernel, where it can be looked at without leaving the turn.
  const { _handle: handle } = client as unknown as { _handle: { fd: number; readStop(): void } };
  handle.readStop();
  const arrived = () => {
    try {
      return readSync(handle.fd, Buffer.alloc(1000));
    } catch (cause) {
      assert.equal((cause as NodeJS.ErrnoException).code, 'EAGAIN');
      return 0;
    }
  };
  await waitFor('the settings to be over', () => arrived() === 0);
  const close = Reflect.get(net.Server.prototype, 'close') as (this: net.Server) => net.Server;
  const before: number[] = [];
  t.mock.method(net.Server.prototype, 'close', function (this: net.Server) {
    before.push(arrived());
    return close.call(this);
  });
  await server.removeListener('main');
  assert.equal(before[0], 0);
  await waitFor('the client to be asked', () => arrived() > 0);
});

test("a sidecar's worker stays while another one still serves: they end together, and none leaves its share of the port behind", async (t) => {
  const app = await application(t, (_request, response) => response.end('ok'));
  const connections = new Int32Array([0, 1]);
  const server = workerServer(t, { node: { ...unknownNode, id: 'sidecar~127.0.0.1~app.ns~ns.svc.cluster.local' }, overload: { config: null, connections, index: 0 } });
  must(server.setCluster(staticCluster('app', [app])));
  must(await server.setListener(listenerOf({ name: 'main', address: address(0), trafficDirection: 'OUTBOUND', filterChains: [{ filters: [] }] })));
  let ended = false;
  const drained = server.drain({ deadlineMs: 10_000 }).then(() => { ended = true; });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(ended, false);
  connections[1] = 0;
  await drained;
});

test('quiet: not before the minimum, not while something is connected, and a visit between two looks starts the quiet time again', async () => {
  const began = performance.now();
  let accepted = 0;
  const visit = setTimeout(() => accepted++, 150);
  await untilQuiet(() => ({ active: 0, accepted }), { deadlineMs: 5000, minimumMs: 50, quietMs: 200 });
  clearTimeout(visit);
  assert.ok(performance.now() - began >= 340);
  const second = performance.now();
  await untilQuiet(() => ({ active: 1, accepted: 0 }), { deadlineMs: 120 });
  assert.ok(performance.now() - second >= 120);
});

test('what a sidecar is: by its node type, and by its inbound listeners where the node says nothing', () => {
  assert.deepEqual(['sidecar~1.2.3.4~a.b~b', 'router~1.2.3.4~a.b~b', 'waypoint~1.2.3.4~a.b~b', 'mine'].map((id) => [isSidecar(id, true), isSidecar(id, false)]), [[true, true], [false, false], [false, false], [true, false]]);
});

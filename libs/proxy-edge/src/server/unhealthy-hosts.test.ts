import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { waitFor } from '@meltemi/base';
import { ask, httpListener, must, portOf, routeTo, staticCluster, tcpListener, workerServer } from './fixture.ts';

/** An application that fails on /bad, and a proxy whose outlier detection takes it out for that. */
async function setUp(t: TestContext, more: Record<string, unknown> = {}) {
  const open = new Set<net.Socket>();
  const waiting: http.ServerResponse[] = [];
  const app = http.createServer({ keepAliveTimeout: 0 }, (request, response) => {
    if (request.url === '/slow') waiting.push(response);
    else response.writeHead(request.url === '/bad' ? 500 : 200).end();
  });
  app.on('connection', (socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    app.closeAllConnections();
    app.close();
  });
  const server = workerServer(t);
  must(server.setCluster(staticCluster('app', [(app.address() as AddressInfo).port], { outlierDetection: { consecutive5xx: 1, maxEjectionPercent: 100 }, ...more })));
  must(await server.setListener(httpListener({ routes: [routeTo('app')] })));
  must(await server.setListener(tcpListener({ cluster: 'app' })));
  return { server, open, waiting };
}

test('HTTP connections to a host that is taken out close, busy ones after their answer', async (t) => {
  const { server, open, waiting } = await setUp(t);
  const slow = ask(portOf(server), { path: '/slow' });
  await waitFor('the slow request', () => waiting.length === 1);
  await ask(portOf(server));
  assert.equal(open.size, 2);
  await ask(portOf(server), { path: '/bad' });
  await waitFor('the idle connection to close', () => open.size === 1);
  waiting[0]?.end('at last');
  assert.equal((await slow).body, 'at last');
  await waitFor('the busy one to close', () => open.size === 0);
});

for (const closes of [false, true])
  test(`TCP sessions with a host that is taken out ${closes ? 'end where' : 'stay unless'} the cluster says close_connections_on_host_health_failure`, async (t) => {
    const { server, open } = await setUp(t, { closeConnectionsOnHostHealthFailure: closes });
    const client = net.connect(portOf(server, 'tcp'), '127.0.0.1');
    t.after(() => client.destroy());
    let closed = false;
    client.on('error', () => {}).on('close', () => (closed = true)).resume();
    await waitFor('the session', () => open.size === 1);
    await ask(portOf(server), { path: '/bad' });
    if (closes) {
      await waitFor('the session to end', () => closed && open.size === 0);
      return;
    }
    await waitFor('the HTTP connection to close', () => open.size === 1);
    client.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    await new Promise((resolve) => client.once('data', resolve));
    assert.equal(closed, false);
  });

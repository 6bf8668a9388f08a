import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, closedPort, tcpBackend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, filter, httpListener, route, tcpListener, typeOf } from './testing/bootstrap.ts';
import { RawConnection, request } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

let upper: Backend;
let named: readonly Backend[];
let proxy: RunningProxy;

before(async () => {
  upper = await tcpBackend('upper', (socket) => {
    socket.on('data', (part: Buffer) => socket.write(part.toString('latin1').toUpperCase(), 'latin1'));
    socket.on('end', () => socket.end());
  });
  named = await Promise.all(['a', 'b'].map((name) => tcpBackend(name, (socket) => socket.end(name))));
  const dead = await closedPort();
  const weighted = { weighted_clusters: { clusters: [{ name: 'a', weight: 3 }, { name: 'b', weight: 1 }] } };
  proxy = await startProxy(bootstrap([
    tcpListener('plain', { cluster: 'upper' }), tcpListener('weighted', weighted), tcpListener('idle', { cluster: 'upper', idle_timeout: '1s' }), tcpListener('dead', { cluster: 'dead' }),
    tcpListener('retry', { cluster: 'half', max_connect_attempts: 3 }), tcpListener('one', { cluster: 'limited' }), tcpListener('age', { cluster: 'upper', max_downstream_connection_duration: '1s' }),
  ], [
    cluster('upper', [upper.port]), cluster('a', [named[0]?.port ?? 0]), cluster('b', [named[1]?.port ?? 0]), cluster('dead', [dead]), cluster('half', [dead, named[0]?.port ?? 0]),
    cluster('limited', [upper.port], { circuit_breakers: { thresholds: [{ max_connections: 1 }] } }),
  ]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await Promise.all([upper, ...named].map((one) => one.stop()));
});

const stat = async (name: string) => Number(/: (\d+)/.exec((await request(proxy.port('admin'), { path: `/stats?filter=^${name.replaceAll('.', '\\.')}$` })).body)?.[1] ?? 0);

test('bytes go both ways, and a half-close is passed on', async () => {
  const connection = new RawConnection(proxy.port('plain')).send('hello');
  await connection.until(/^HELLO$/);
  connection.send(' again');
  connection.socket.end();
  assert.equal(await connection.untilClosed(), 'HELLO AGAIN');
  await waitFor('the end of the session', async () => await stat('cluster.upper.upstream_cx_active') === 0);
});

test('weighted clusters share the connections', async () => {
  const counted = { a: 0, b: 0 };
  for (let i = 0; i < 60; i++) counted[(await new RawConnection(proxy.port('weighted')).untilClosed()) as 'a' | 'b']++;
  assert.ok(counted.a > counted.b && counted.b > 2, JSON.stringify(counted));
});

test('an idle session ends, a dead upstream closes the client, the limit holds', async () => {
  const idle = new RawConnection(proxy.port('idle')).send('x');
  const old = new RawConnection(proxy.port('age')).send('x');
  await Promise.all([idle.until(/X/), old.until(/X/)]);
  assert.equal(await new RawConnection(proxy.port('dead')).untilClosed(), '');
  const first = new RawConnection(proxy.port('one')).send('x');
  await first.until(/X/);
  assert.equal(await new RawConnection(proxy.port('one')).untilClosed(), '');
  first.destroy();
  await Promise.all([idle.untilClosed(), old.untilClosed()]);
});

test('max_connect_attempts tries other hosts', async () => {
  for (let i = 0; i < 4; i++) assert.equal(await new RawConnection(proxy.port('retry')).untilClosed(), 'a');
});

test('the PROXY protocol in front of a request names the client, and a connection without it is closed', async () => {
  await using app = await backend('app');
  const listener = httpListener({ name: 'balanced', routes: [route({ prefix: '/' }, 'app')], hcm: { use_remote_address: true }, listener: { listener_filters: [filter('envoy.filters.listener.proxy_protocol', typeOf.proxyProtocol)] } });
  await using balanced = await startProxy(bootstrap([listener], [cluster('app', [app.port])]));
  const connection = new RawConnection(balanced.port('balanced')).send('PROXY TCP4 203.0.113.7 10.0.0.9 51000 443\r\nGET / HTTP/1.1\r\nhost: x\r\n\r\n');
  await connection.until(/"x-forwarded-for":"203\.0\.113\.7"/);
  connection.socket.destroy();
  assert.equal(await new RawConnection(balanced.port('balanced')).send('GET / HTTP/1.1\r\nhost: x\r\n\r\n').untilClosed(), '');
});

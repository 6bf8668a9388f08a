import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { describe, test } from 'node:test';
import { waitFor, withDeadline } from '@meltemi/base';
import { backend, tcpBackend } from '../testing/backend.ts';
import { bootstrap, cluster, http2Only, httpListener, route, tcpListener } from '../testing/bootstrap.ts';
import { RawConnection, request, untilRefused } from '../testing/client.ts';
import { Load } from '../testing/load.ts';
import { startProxy } from '../testing/proxy-process.ts';
import { RestartingServer } from '../testing/restarting-server.ts';

const to = (name: string) => [route({ prefix: '/' }, { cluster: name, timeout: '0s' })];

describe('SIGTERM under load', () => {
  for (const protocol of ['http1', 'http2', 'grpc'] as const)
    test(`${protocol}: every request that a connection took is answered, then the program ends`, async () => {
      await using app = await new RestartingServer('app').start();
      await using proxy = await startProxy(bootstrap([httpListener({ routes: to('app') })], [cluster('app', [app.http2Port], http2Only)]), { args: ['--drain-timeout', '10s'] });
      const port = proxy.port('web');
      const load = new Load(port, { protocol, concurrency: 8 });
      await load.more(200);
      const ended = proxy.stop();
      await untilRefused(port);
      assert.equal((await ended).code, 0);
      await load.stop();
      // New connections fail to connect: there is no port any more. Nothing else may go wrong.
      assert.deepEqual(load.failures.filter((failure) => !/connect ECONN(REFUSED|RESET)/.test(failure)), []);
    });

  test('requests under way finish, clients are asked to leave, sessions of TCP stay until the deadline', async (t) => {
    const waiting: (() => void)[] = [];
    const held = await backend('held', (_request, response) => void waiting.push(() => response.end('late')));
    t.after(() => held.stop());
    const echo = await tcpBackend('echo', (socket) => socket.pipe(socket));
    t.after(() => echo.stop());
    await using proxy = await startProxy(bootstrap([httpListener({ routes: to('held') }), tcpListener('tcp', { cluster: 'echo' })], [cluster('held', [held.port]), cluster('echo', [echo.port])]), { args: ['--drain-timeout', '4s'] });
    const port = proxy.port('web');
    const idle = new RawConnection(port).send('GET /a HTTP/1.1\r\nhost: x\r\n\r\n');
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on('error', () => {});
    const goaways: number[] = [];
    session.on('goaway', (_code, last) => goaways.push(last ?? -1));
    const stream = session.request({ ':path': '/b' });
    const body = new Promise<string>((resolve, reject) => {
      let text = '';
      stream.setEncoding('utf8').on('data', (part: string) => { text += part; }).on('end', () => resolve(text)).on('error', reject);
    });
    const tcp = new RawConnection(proxy.port('tcp')).send('one');
    await tcp.until(/one/);
    await waitFor('both requests upstream', () => waiting.length === 2);
    const ended = proxy.stop();
    await untilRefused(port);
    tcp.send('two');
    await tcp.until(/onetwo/);
    // Two: one that refuses nothing, one that says what was taken.
    await waitFor('both GOAWAYs', () => goaways.length === 2);
    assert.deepEqual(goaways, [2 ** 31 - 1, 1]);
    for (const answer of waiting) answer();
    assert.equal(await withDeadline(body, 4000, 'the answer'), 'late');
    assert.match(await idle.untilClosed(), /^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n[^]*late$/);
    await tcp.untilClosed(8000);
    assert.equal((await ended).code, 0);
    session.destroy();
  });

  test('a connection that was just accepted is served and told to leave', async () => {
    await using app = await new RestartingServer('app').start();
    await using proxy = await startProxy(bootstrap([httpListener({ routes: to('app') })], [cluster('app', [app.port])]), { args: ['--drain-timeout', '8s'] });
    const port = proxy.port('web');
    const silent = new RawConnection(port);
    const busy = new RawConnection(port).send('GET /');
    await waitFor('both connections', async () => /downstream_cx_active: 2/.test((await request(proxy.port('admin'), { path: '/stats?filter=http.web.downstream_cx_active' })).body));
    const ended = proxy.stop();
    await untilRefused(port);
    silent.send('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
    busy.send(' HTTP/1.1\r\nhost: x\r\n\r\n');
    for (const connection of [silent, busy]) assert.match(await connection.untilClosed(), /^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n/);
    assert.equal((await ended).code, 0);
  });
});

test('inbound listeners drain first: the application may still call out while it answers, and a new connection out is taken', async (t) => {
  const inbound = { traffic_direction: 'INBOUND' };
  const outbound = { traffic_direction: 'OUTBOUND' };
  const waiting: (() => void)[] = [];
  const app = await backend('app', (_request, response) => void waiting.push(() => response.end('done')));
  t.after(() => app.stop());
  await using other = await new RestartingServer('other').start();
  await using proxy = await startProxy(bootstrap(
    [httpListener({ name: 'in', routes: to('app'), listener: inbound }), httpListener({ name: 'out', routes: to('other'), listener: outbound })],
    [cluster('app', [app.port]), cluster('other', [other.port])],
  ), { args: ['--drain-timeout', '10s'] });
  const client = request(proxy.port('in'));
  await waitFor('the request', () => waiting.length === 1);
  const ended = proxy.stop();
  await untilRefused(proxy.port('in'));
  const { status, headers } = await request(proxy.port('out'));
  assert.deepEqual([status, headers['x-backend']], [200, 'other']);
  for (const answer of waiting) answer();
  assert.equal((await client).status, 200);
  assert.equal((await ended).code, 0);
  await assert.rejects(request(proxy.port('out')));
});

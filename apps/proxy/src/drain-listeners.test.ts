import assert from 'node:assert/strict';
import http2 from 'node:http2';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, httpListener, route, tcpListener } from './testing/bootstrap.ts';
import { RawConnection, request, untilRefused } from './testing/client.ts';
import { startProxy, type RunningProxy } from './testing/proxy-process.ts';

let app: Backend;
before(async () => { app = await backend('app'); });
after(() => app.stop());

function start(...args: string[]): Promise<RunningProxy> {
  const routes = [route({ prefix: '/' }, 'app')];
  return startProxy(bootstrap([httpListener({ name: 'in', routes, listener: { traffic_direction: 'INBOUND' } }), httpListener({ name: 'out', routes, listener: { traffic_direction: 'OUTBOUND' } }), tcpListener('tcp', { cluster: 'app' }, { traffic_direction: 'INBOUND' })], [cluster('app', [app.port])]), { args });
}

const drain = async (proxy: RunningProxy, query: string) => {
  const { status, body } = await request(proxy.port('admin'), { method: 'POST', path: `/drain_listeners${query}` });
  return `${status} ${body.trim()}`;
};
/** A client that would stay is asked to leave. */
const closes = async (port: number) => (await request(port, { headers: { connection: 'keep-alive' } })).headers['connection'] === 'close';
const one = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n';

test('graceful and gradual: new clients are served, more and more answers ask to leave, and after the drain time nothing listens', async () => {
  await using proxy = await start('--drain-time-s', '6');
  const stays = new RawConnection(proxy.port('in')).send(one);
  await stays.until(/200 OK/);
  const began = performance.now();
  assert.equal(await drain(proxy, '?graceful'), '200 OK');
  const asked: boolean[][] = [[], [], []];
  for (let third = 0; third < 3; third++) while (performance.now() - began < (third + 1) * 1900) asked[third]?.push(...await Promise.all([1, 2, 3, 4].map(() => closes(proxy.port('in')))));
  const shares = asked.map((answers) => answers.filter(Boolean).length / answers.length);
  const [first = 1, second = -1, third = -1] = shares;
  assert.ok(first < 0.35 && first < second && second < third && third > 0.6, `shares ${shares.join(', ')}`);
  await untilRefused(proxy.port('in'));
  assert.ok(performance.now() - began >= 5900, 'stopped before the drain time was over');
  // Connections stay, and leave with their next answer.
  assert.equal(stays.closed, false);
  stays.send(one);
  assert.match(await stays.untilClosed(), /connection: close\r\n/);
});

test('graceful and immediate: every answer asks to leave at once, HTTP/2 says GOAWAY with its first answer, and new clients are served', async () => {
  await using proxy = await start('--drain-strategy', 'immediate', '--drain-time-s', '60');
  assert.equal(await drain(proxy, '?graceful'), '200 OK');
  await waitFor('answers that ask to leave', () => closes(proxy.port('in')));
  for (let i = 0; i < 5; i++) assert.equal(await closes(proxy.port('in')), true);
  const session = http2.connect(`http://127.0.0.1:${proxy.port('in')}`);
  session.on('error', () => {});
  let goaway = false;
  session.on('goaway', () => { goaway = true; });
  const status = await new Promise((resolve, reject) => session.request({ ':path': '/' }).on('response', (headers) => resolve(headers[':status'])).on('error', reject).resume().end());
  assert.equal(status, 200);
  await waitFor('GOAWAY', () => goaway);
  session.destroy();
});

test('skip_exit: after the drain time it goes on listening, and every answer asks to leave; it needs graceful', async () => {
  await using proxy = await start('--drain-time-s', '1');
  assert.equal(await drain(proxy, '?skip_exit'), '400 skip_exit requires graceful');
  assert.equal(await closes(proxy.port('in')), false);
  assert.equal(await drain(proxy, '?graceful&skip_exit'), '200 OK');
  const began = performance.now();
  await waitFor('the drain time to be over', () => performance.now() - began > 1500);
  for (let i = 0; i < 5; i++) assert.equal(await closes(proxy.port('in')), true);
});

test('inboundonly leaves the outbound listener alone; what is connected stays, sessions of TCP too, beyond the drain time', async () => {
  await using proxy = await start('--drain-strategy', 'immediate', '--drain-time-s', '1');
  const [busy, tcp] = [new RawConnection(proxy.port('in')).send(one), new RawConnection(proxy.port('tcp')).send(one)];
  await Promise.all([busy.until(/200 OK/), tcp.until(/200 OK/)]);
  assert.equal(await drain(proxy, '?inboundonly'), '200 OK');
  await Promise.all([untilRefused(proxy.port('in')), untilRefused(proxy.port('tcp'))]);
  assert.equal(await closes(proxy.port('out')), false);
  const began = performance.now();
  await waitFor('the drain time to be over', () => performance.now() - began > 1500);
  assert.deepEqual([busy.closed, tcp.closed], [false, false]);
  tcp.text = '';
  await tcp.send(one).until(/200 OK/);
  assert.match(await busy.send(one).untilClosed(), /connection: close\r\n/);
  tcp.destroy();
  // All of it, after a part: the rest follows.
  assert.equal(await drain(proxy, ''), '200 OK');
  await untilRefused(proxy.port('out'));
});


test('/healthcheck/fail: listeners of the default drain_type ask clients to leave until /healthcheck/ok, those of modify_only do not', async () => {
  const routes = [route({ prefix: '/' }, 'app')];
  await using proxy = await startProxy(bootstrap([httpListener({ name: 'front', routes }), httpListener({ name: 'way-out', routes, listener: { drain_type: 'MODIFY_ONLY' } })], [cluster('app', [app.port])]));
  const say = (what: string) => request(proxy.port('admin'), { method: 'POST', path: `/healthcheck/${what}` });
  await say('fail');
  await waitFor('answers that ask to leave', () => closes(proxy.port('front')));
  assert.equal(await closes(proxy.port('way-out')), false);
  await say('ok');
  await waitFor('answers that do not', async () => !(await closes(proxy.port('front'))));
});

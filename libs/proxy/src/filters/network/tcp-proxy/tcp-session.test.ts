import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, seededRandom } from '@meltemi/base';
import { StreamInfo, unknownConnection } from '@meltemi/http';
import { Backend } from '../../../testing/backend.ts';
import { tcpProxyOf } from '../../../testing/served.ts';
import { Wire } from '../../../testing/wire.ts';
import { TcpSession } from './tcp-session.ts';

function session(settings: Record<string, unknown>) {
  const clock = new ManualClock();
  const backend = new Backend('app', clock);
  const client = new Wire();
  const info = new StreamInfo(unknownConnection, 0, 0);
  let done = 0;
  const served = new TcpSession(client, {
    config: tcpProxyOf({ cluster: 'app', ...settings }), info, clusters: { get: () => backend }, random: seededRandom(1), filters: [], bufferLimit: 1000,
    monotonic: () => clock.monotonic(), onDone: () => done++,
  });
  served.start(() => {});
  const pass = (ms: number): void => {
    clock.advance(ms);
    served.tick(clock.monotonic());
  };
  pass(1_000);
  return { client, upstream: backend.connections[0] ?? assert.fail('not connected'), info, pass, done: () => done };
}

test('TCP idle: a session without bytes either way is closed on both sides, and only then', () => {
  const { client, upstream, info, pass, done } = session({ idleTimeout: '10s' });
  pass(9_000);
  client.receive('ping');
  pass(9_000);
  upstream.receive('pong');
  pass(9_000);
  pass(9_000);
  assert.deepEqual([client.closed, upstream.closed], [false, false]);
  pass(2_000);
  assert.deepEqual([client.closed, upstream.closed, done(), info.connectionTerminationDetails], [true, true, 1, 'tcp_session_idle_timeout']);
});

test('TCP idle: an hour unless told otherwise, and 0 is no limit', () => {
  const unset = session({});
  const off = session({ idleTimeout: '0s' });
  for (const { pass } of [unset, off]) {
    pass(3_500_000);
    pass(200_000);
  }
  assert.deepEqual([unset.client.closed, off.client.closed], [true, false]);
});

test('TCP: the longest life of a connection ends a busy one too', () => {
  const { client, pass, info } = session({ maxDownstreamConnectionDuration: '10s' });
  for (let i = 0; i < 10; i++) {
    client.receive('x');
    pass(1_000);
  }
  assert.deepEqual([client.closed, info.connectionTerminationDetails], [true, 'max_duration_timeout']);
});

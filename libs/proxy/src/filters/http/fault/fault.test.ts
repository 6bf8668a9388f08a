import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AtomicRows, sharedRowsBuffer } from '../../../atomic-rows.ts';
import { AtomicState, sharedStateBuffer } from '../../../shared-state.ts';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;
const all = { numerator: 100 };

function served(config: Json, route: Json = {}, shared?: AtomicState): Served {
  return new Served({ ...(shared !== undefined && { shared }), filters: [filterJson('envoy.filters.http.fault', 'envoy.extensions.filters.http.fault.v3.HTTPFault', config)], routes: [routeToApp(route)] });
}

/** What a client gets who sends these fields, the backend answering with this body. */
function ask(world: Served, fields: readonly string[], body = 'ok') {
  const { wire } = world.connect();
  wire.receive(requestText('/', fields));
  const request = world.backend.requests.shift();
  request?.respond(200, ['content-length', String(body.length)], body);
  return { wire, reached: request !== undefined };
}

const count = (world: Served, name: string) => world.stats.entries().find((entry) => entry.name === `http.test.fault.${name}`)?.value;

test('a client asks for an abort by header, and only by a good one', () => {
  const world = served({ abort: { headerAbort: {}, percentage: all } });
  assert.match(ask(world, ['x-envoy-fault-abort-request: 418']).wire.sent, /^HTTP\/1\.1 418 [\s\S]*fault filter abort$/);
  for (const fields of [[], ['x-envoy-fault-abort-request: 199'], ['x-envoy-fault-abort-request: teapot'], ['x-envoy-fault-abort-request: 418', 'x-envoy-fault-abort-request-percentage: 0']])
    assert.match(ask(world, fields).wire.sent, /^HTTP\/1\.1 200 /, fields.join());
  assert.equal(count(world, 'aborts_injected'), 1);
});

test('a client asks for a gRPC status by header', () => {
  const { wire } = ask(served({ abort: { headerAbort: {}, percentage: all } }), ['content-type: application/grpc', 'x-envoy-fault-abort-grpc-request: 5']);
  assert.match(wire.sent, /grpc-status: 5\r\n/);
});

test('a client asks for a delay by header, for no larger share than configured', () => {
  const world = served({ delay: { headerDelay: {}, percentage: all } });
  const { wire } = world.connect();
  wire.receive(requestText('/', ['x-envoy-fault-delay-request: 250']));
  world.clock.advance(249);
  assert.equal(world.backend.requests.length, 0);
  world.clock.advance(1);
  assert.equal(world.backend.requests.length, 1);
  const none = served({ delay: { headerDelay: {}, percentage: { numerator: 0 } } });
  assert.equal(ask(none, ['x-envoy-fault-delay-request: 250', 'x-envoy-fault-delay-request-percentage: 100']).reached, true);
});

test('a limited response comes slice by slice, its upstream held back', () => {
  // 20 KiB a second are 1024 bytes each 50 ms.
  const world = served({ responseRateLimit: { fixedLimit: { limitKbps: 20 }, percentage: all } });
  const { wire } = world.connect();
  wire.receive(requestText());
  const request = world.backend.requests[0];
  request?.begin(200, ['content-length', '2500']);
  request?.part('a'.repeat(2500));
  assert.equal(request?.paused, true);
  const got = () => (wire.sent.match(/a{2,}/)?.[0] ?? '').length;
  assert.equal(got(), 1024);
  request?.end();
  world.clock.advance(49);
  assert.equal(got(), 1024);
  world.clock.advance(1);
  assert.equal(got(), 2048);
  world.clock.advance(50);
  assert.equal(got(), 2500);
  assert.equal(world.done.length, 1);
  assert.equal(count(world, 'response_rl_injected'), 1);
  assert.equal(count(world, 'active_faults'), 0);
});

test('the rest of a limited response follows when all that waited is through', () => {
  const world = served({ responseRateLimit: { headerLimit: {}, percentage: all } });
  const { wire } = world.connect();
  wire.receive(requestText('/', ['x-envoy-fault-throughput-response: 20']));
  const request = world.backend.requests[0];
  request?.begin(200, ['content-length', '3000']);
  request?.part('a'.repeat(1500));
  world.clock.advance(50);
  assert.equal(request?.paused, false);
  request?.part('b'.repeat(1500));
  request?.end();
  world.clock.advance(100);
  assert.match(wire.sent, /a{1500}b{1500}$/);
});

test('a client that leaves a limited response takes its timer along', () => {
  const world = served({ responseRateLimit: { fixedLimit: { limitKbps: 1 }, percentage: all } });
  const { wire } = ask(world, [], 'x'.repeat(900));
  wire.destroy();
  world.clock.advance(60_000);
  assert.equal(count(world, 'active_faults'), 0);
  assert.deepEqual(world.bugs, []);
});

test('beyond the most active faults requests pass unharmed and are counted', () => {
  const world = served({ delay: { fixedDelay: '1s', percentage: all }, maxActiveFaults: 1 });
  assert.equal(ask(world, []).reached, false);
  assert.equal(ask(world, []).reached, true);
  assert.equal(count(world, 'faults_overflow'), 1);
  assert.equal(count(world, 'active_faults'), 1);
});

test('active faults of all workers count, as long as they are active and their worker lives', () => {
  const [flags, buffer] = [sharedStateBuffer(), sharedRowsBuffer(2)];
  const rows = (worker: number) => new AtomicRows(buffer, { workers: 2, worker, offsetMs: 0 });
  const [one, two] = [0, 1].map((worker) => served({ delay: { fixedDelay: '1s', percentage: all }, maxActiveFaults: 1 }, {}, new AtomicState(flags, rows(worker)))) as [Served, Served];
  assert.equal(ask(one, []).reached, false);
  assert.equal(ask(two, []).reached, true);
  assert.equal(count(two, 'faults_overflow'), 1);
  one.clock.advance(1000);
  one.backend.requests.shift()?.respond(200, ['content-length', '0'], '');
  assert.equal(ask(two, []).reached, false);
  assert.equal(ask(one, []).reached, true);
  rows(2).forget(1);
  assert.equal(ask(one, []).reached, false);
  one.clock.advance(1000);
  one.backend.requests.shift()?.respond(200, ['content-length', '0'], '');
  one.manager.chain.release();
  assert.equal(rows(2).size, 0);
});

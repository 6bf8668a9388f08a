import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Metadata, status } from '@grpc/grpc-js';
import { ItemResult_Action, WatchEvent_Type, type WatchEvent } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor, withDeadline } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { badRoute, reviews, route } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';
import { XdsFollower } from './testing/xds-follower.ts';

const pilot = new PilotProgram();
const key = (name: string) => ({ group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name });

before(async () => {
  pilot.write('reviews.yaml', reviews);
  await pilot.start();
});
after(() => pilot.remove());

/** Runs with a proxy connected and up to date. */
async function withProxy(run: (proxy: XdsFollower) => Promise<void>, name?: string): Promise<void> {
  const proxy = new XdsFollower({ address: pilot.address('xds-plaintext'), ...(name === undefined ? {} : { name }) });
  try {
    await proxy.route(/reviews/);
    await run(proxy);
  } finally {
    await proxy.stop();
  }
}

test('apply --wait stores, pushes, and returns only after the proxy has answered', () => withProxy(async (proxy) => {
  let answered = false;
  const held: (() => void)[] = [];
  proxy.answer = (update) => {
    if (update.typeUrl !== xdsType.route) return 'ack';
    held.push(() => update.accept());
    return 'silence';
  };
  const applied = pilot.apply(route('v1'), '--wait').then((ran) => ({ ran, answered }));
  await waitFor('the push', () => held.length > 0);
  answered = true;
  for (const accept of held) accept();
  const result = await applied;
  assert.equal(result.ran.code, 0, result.ran.err);
  assert.equal(result.answered, true);
  assert.match(result.ran.out, /^virtualservice\.networking\.istio\.io\/reviews created\n$/);
  assert.match(result.ran.err, /live at 1 proxy/);
  assert.equal((await pilot.list('VirtualService')).objects[0]?.origin, 'store');
}));

test('a refusal fails apply --wait with the proxy’s name and words; the next, unrelated change is not held up by it', () => withProxy(async (proxy) => {
  proxy.answer = (update) => (update.typeUrl === xdsType.route ? { nack: 'subset v2 looks odd' } : 'ack');
  const refused = await pilot.apply(route('v2'), '--wait');
  assert.equal(refused.code, 1);
  assert.match(refused.err, /productpage-v1-0\.default refuses: RDS 9080: .*subset v2 looks odd/);
  const unrelated = await pilot.apply('apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: other}\nspec: {hosts: [other.example.com], ports: [{number: 5555, name: tcp, protocol: TCP}], resolution: DNS}\n', '--wait');
  assert.equal(unrelated.code, 0, unrelated.err);
  proxy.answer = () => 'ack';
  assert.equal((await pilot.apply(route('v1'), '--wait')).code, 0);
}));

test('a silent proxy is named when the time is over, and holds up no other', () => withProxy(async (silent) => {
  silent.answer = () => 'silence';
  await withProxy(async (proxy) => {
    const ran = await pilot.apply(route('v2'), '--wait=1s');
    assert.equal(ran.code, 1);
    assert.match(ran.err, /Stored, but not live everywhere after 1 s: 1 of 2[^]*silent-v1-0\.default lags: has not acknowledged (LDS|RDS)/, 'the listener of the test before may come now: its address is given out by the way');
    assert.match(JSON.stringify(proxy.held(xdsType.route, '9080')), /outbound\|9080\|v2/);
  });
}, 'silent-v1-0.default'));

test('a second pilot does not take the socket of a running one', async () => {
  const second = new PilotProgram(['--plaintext-listen', '127.0.0.1:0', '--config-socket', pilot.socket]);
  try {
    const [code] = (await withDeadline(once(second.launch(), 'close'), 20_000, 'the refusal')) as [number];
    assert.equal(code, 1);
    assert.match(second.log, /another pilot already serves /);
    assert.ok((await pilot.list()).objects.length > 0);
  } finally {
    await second.remove();
  }
});

test('one invalid object refuses the whole batch with its line, path and reason', async () => {
  const ran = await pilot.apply(`${route('v1', 'good')}---\n${badRoute}`);
  assert.equal(ran.code, 1);
  assert.match(ran.err, /-:14: VirtualService default\/reviews: spec\.htttp: .*unknown field/);
  assert.match(ran.err, /Nothing was applied: 1 of 2 objects is refused/);
  assert.equal((await pilot.list('VirtualService')).objects.some((object) => object.key?.name === 'good'), false);
});

test('an apply against an old version is refused, and of two at once both end in order', async () => {
  const created = await pilot.applyCall(route('v1', 'versioned'));
  const version = created.results[0]?.resourceVersion ?? '';
  await pilot.applyCall(route('v2', 'versioned'), version);
  await assert.rejects(pilot.applyCall(route('v1', 'versioned'), version), (error: { code: number; details: string }) => error.code === status.FAILED_PRECONDITION && /has changed: expected resource version/.test(error.details));
  const both = await Promise.all(Array.from({ length: 8 }, (_, n) => pilot.applyCall(route(n % 2 === 0 ? 'v1' : 'v2', 'versioned'))));
  const versions = both.flatMap((response) => response.results.filter((result) => result.action !== ItemResult_Action.UNCHANGED).map((result) => result.resourceVersion));
  assert.equal(new Set(versions).size, versions.length);
  const sameVersion = both.at(-1)?.results[0]?.resourceVersion ?? '';
  const rivals = await Promise.allSettled([0, 1].map((n) => pilot.applyCall(route(`x${n}`, 'versioned'), sameVersion)));
  assert.ok(rivals.filter((result) => result.status === 'fulfilled').length <= 1);
});

test('applying the same again changes nothing, and says so', async () => {
  await pilot.applyCall(route('v1', 'same'));
  const again = await pilot.applyCall(route('v1', 'same'));
  assert.equal(again.results[0]?.action, ItemResult_Action.UNCHANGED);
  assert.equal(again.revision, '');
});

test('a watch tells what is there, that it has told all, then each change', async () => {
  const events: WatchEvent[] = [];
  const stream = pilot.api().watch({ group: '', kind: 'VirtualService', namespace: '' }, new Metadata());
  stream.on('data', (event: WatchEvent) => void events.push(event));
  stream.on('error', () => undefined);
  await waitFor('the end of the list', () => events.some((event) => event.type === WatchEvent_Type.SYNCED));
  const listed = events.length - 1;
  assert.equal(listed, (await pilot.list('VirtualService')).objects.length);
  await pilot.applyCall(route('v1', 'watched'));
  await pilot.applyCall(route('v2', 'watched'));
  await pilot.deleteCall(key('watched'));
  await waitFor('three changes', () => events.length === listed + 4);
  assert.deepEqual(events.slice(-3).map((event) => [event.type, event.object?.key?.name]), [[WatchEvent_Type.ADDED, 'watched'], [WatchEvent_Type.MODIFIED, 'watched'], [WatchEvent_Type.DELETED, 'watched']]);
  stream.cancel();
});

test('delete removes from the store and from proxies; what a file holds is refused with the file', () => withProxy(async (proxy) => {
  await pilot.applyCall(route('v2'));
  await proxy.route(/outbound\|9080\|v2/);
  const ran = await pilot.meltemi(['delete', 'virtualservice', 'reviews', '--wait']);
  assert.equal(ran.code, 0, ran.err);
  await proxy.route(/^(?!.*outbound\|9080\|v2)/);
  const fromFile = await pilot.meltemi(['delete', 'dr', 'reviews']);
  assert.equal(fromFile.code, 1);
  assert.match(fromFile.err, /comes from .*reviews\.yaml:\d+, which is read-only here: delete it there/);
  const missing = await pilot.meltemi(['delete', 'vs/nobody']);
  assert.equal(missing.code, 1);
  assert.equal((await pilot.meltemi(['delete', 'vs/nobody', '--ignore-not-found'])).code, 0);
}));

test('after a restart proxies come back and are sent nothing that they have', () => withProxy(async (proxy) => {
  await pilot.applyCall(route('v1'));
  await proxy.route(/outbound\|9080\|v1/);
  await pilot.kill();
  await waitFor('the loss', () => proxy.lost.length > 0 && !proxy.connected);
  const before = proxy.responses.length;
  await pilot.start();
  await waitFor('the reconnection', async () => {
    const ran = await fetch(`http://${pilot.address('admin')}/debug/syncz`);
    const proxies = (await ran.json()) as { types: { typeUrl: string; state: string }[] }[];
    return proxies[0]?.types.filter((type) => /Cluster$|Listener$|RouteConfiguration$/.test(type.typeUrl)).every((type) => type.state === 'SYNCED');
  });
  assert.deepEqual(proxy.responses.slice(before), []);
  assert.equal((await pilot.apply(route('v2'), '--wait')).code, 0);
  assert.match(JSON.stringify(proxy.held(xdsType.route, '9080')), /outbound\|9080\|v2/);
}));

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ItemResult_Action } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { reviews, route } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';

const program = join(import.meta.dirname, '../../cli/bin/meltemi.js');
const flags = (mode: string) => ['--plaintext-listen', '127.0.0.1:0', '--admission-tests', mode, '--admission-test-program', program, '--admission-test-timeout', '60s'];
const [enforcing, warning] = [new PilotProgram(flags('enforce')), new PilotProgram(flags('warn'))];

const expectation = `apiVersion: meltemi.io/v1alpha1
kind: MeshTest
metadata: {name: reviews}
spec:
  proxy: {type: sidecar, namespace: default}
  tests:
  - name: everybody gets v1
    call: {mode: outbound, host: reviews, port: 9080, method: GET, path: /reviews/0}
    expect: {outcome: routed, cluster: outbound|9080|v1|reviews.default.svc.cluster.local}
`;
const key = { group: 'networking.istio.io', kind: 'VirtualService', namespace: 'default', name: 'reviews' };

before(async () => {
  for (const pilot of [enforcing, warning]) {
    pilot.write('reviews.yaml', reviews);
    pilot.write('tests.yaml', expectation);
    await pilot.start();
  }
});
after(() => Promise.all([enforcing.remove(), warning.remove()]));

test('a change that breaks an expectation is refused with its name, the call and what would come, and nothing of it is stored', async () => {
  const applied = await enforcing.apply(route('v1'));
  assert.equal(applied.code, 0, applied.err);
  const other = 'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: other}\nspec: {hosts: [other.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n';
  const refused = await enforcing.apply(`${other}---\n${route('v2')}`);
  assert.equal(refused.code, 1);
  assert.match(refused.err, /breaks the expectation "reviews: everybody gets v1" \(outbound GET reviews\/reviews\/0 port 9080\): cluster: expected "outbound\|9080\|v1\|.*", is "outbound\|9080\|v2\|/);
  const kept = (await enforcing.list()).objects;
  assert.match(kept.find(({ key: one }) => one?.name === 'reviews' && one.kind === 'VirtualService')?.json ?? '', /"subset":"v1"/);
  assert.equal(kept.some(({ key: one }) => one?.name === 'other'), false);
  assert.equal((await enforcing.apply(other)).code, 0, 'what breaks nothing goes in');
});

test('a deletion that breaks an expectation is refused, too', async () => {
  const { results } = await enforcing.deleteCall(key);
  assert.equal(results[0]?.action, ItemResult_Action.REFUSED);
  assert.match(results[0]?.errors[0]?.message ?? '', /breaks the expectation "reviews: everybody gets v1"/);
  assert.equal((await enforcing.list('VirtualService')).objects.length, 1);
});

test('where it is only warned, the change is made and what it breaks is told', async () => {
  assert.equal((await warning.apply(route('v1'))).code, 0);
  const applied = await warning.apply(route('v2'));
  assert.equal(applied.code, 0, applied.err);
  assert.match(applied.err, /warning: .*breaks the expectation "reviews: everybody gets v1"/);
  assert.match((await warning.list('VirtualService')).objects[0]?.json ?? '', /"subset":"v2"/);
});

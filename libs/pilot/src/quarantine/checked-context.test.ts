import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig, keyText, type Config } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { bookinfo, configsOf, productpage, sample } from '../testing/mesh.test-support.ts';
import { routeClusters } from '../translate/references.ts';
import { translate } from '../translate/translate.ts';
import { findCulprits } from './culprits.ts';
import { checkedContext, type CheckedContext, type CheckOptions } from './checked-context.ts';

/** Valid for the schema; the proxy has no such word in its format strings. */
const poison = (name: string, host = name, created = '2026-01-02T00:00:00Z') => configsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: default, creationTimestamp: "${created}"}
spec: {hosts: [${host}], http: [{headers: {request: {set: {x-who: "%NO_SUCH_WORD%"}}}, route: [{destination: {host: ${host}}}]}]}
`);

const good = (name: string, host: string, subset: string) => configsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: default, creationTimestamp: "2026-01-01T00:00:00Z"}
spec: {hosts: [${host}], http: [{route: [{destination: {host: ${host}, subset: ${subset}}}]}]}
`);

const base = [...bookinfo(), ...sample('bookinfo/networking/destination-rule-all.yaml')];

function check(configs: readonly Config[], more: Partial<CheckOptions> = {}): CheckedContext {
  return checkedContext({ configs, meshConfig: defaultMeshConfig(), ...more });
}

function clustersOf({ push }: CheckedContext): Set<string> {
  const route = translate(push, productpage(), { typeUrl: xdsType.route, names: ['9080'] }).resources.get('9080');
  assert.ok(route);
  return routeClusters(RouteConfiguration.decode(route.any.value));
}

const names = (checked: CheckedContext) => checked.setAside.map(({ key }) => key.name).toSorted();

test('nothing is set aside of a mesh that proxies take', () => {
  const checked = check([...base, ...sample('bookinfo/networking/bookinfo-gateway.yaml'), ...good('reviews', 'reviews', 'v2')]);
  assert.deepEqual([checked.setAside, checked.stillRefused], [[], []]);
});

test('of many objects the one that a proxy would refuse is set aside alone, with the resource and the reason', () => {
  const checked = check([...base, ...good('reviews', 'reviews', 'v3'), ...poison('details'), ...good('ratings', 'ratings', 'v2')]);
  assert.deepEqual(names(checked), ['details']);
  assert.match(checked.setAside[0]?.errors[0]?.message ?? '', /a proxy would refuse its configuration \(RDS \d+\): .*NO_SUCH_WORD/);
  const clusters = clustersOf(checked);
  assert.ok(clusters.has('outbound|9080|v3|reviews.default.svc.cluster.local') && clusters.has('outbound|9080|v2|ratings.default.svc.cluster.local'));
});

test('several are found together, and each is told its own reason', () => {
  const checked = check([...base, ...poison('details'), ...good('reviews', 'reviews', 'v3'), ...poison('ratings'), ...poison('productpage')]);
  assert.deepEqual(names(checked), ['details', 'productpage', 'ratings']);
});

test('the last good version stays in force, in the same run and after a restart', () => {
  const before = check([...base, ...good('reviews', 'reviews', 'v3')]);
  const configs = [...base, ...poison('reviews')];
  const next = check(configs, { previous: before });
  assert.deepEqual(next.setAside.map(({ lastGoodInForce }) => lastGoodInForce), [true]);
  assert.ok(clustersOf(next).has('outbound|9080|v3|reviews.default.svc.cluster.local'));
  const kept = good('reviews', 'reviews', 'v2')[0];
  const restarted = check(configs, { lastGood: (key) => (key.name === 'reviews' && key.kind === 'VirtualService' ? kept : undefined) });
  assert.ok(clustersOf(restarted).has('outbound|9080|v2|reviews.default.svc.cluster.local'));
});

test('what is set aside stays so while others change, and comes back when it is mended', () => {
  const bad = poison('details');
  const first = check([...base, ...bad]);
  const second = check([...base, ...bad, ...good('reviews', 'reviews', 'v1')], { previous: first });
  assert.deepEqual(names(second), ['details']);
  assert.ok(clustersOf(second).has('outbound|9080|v1|reviews.default.svc.cluster.local'));
  const third = check([...base, ...good('details', 'details', 'v2')], { previous: second });
  assert.deepEqual(names(third), []);
  assert.ok(clustersOf(third).has('outbound|9080|v2|details.default.svc.cluster.local'));
});

test('what a live proxy refused is set aside without a test, and its version before is in force', () => {
  const before = check([...base, ...good('reviews', 'reviews', 'v3')]);
  const [newest] = good('reviews', 'reviews', 'v2');
  assert.ok(newest);
  const after = check([...base, newest], { previous: before, refusedLive: new Map([[keyText(newest.key), [{ path: '', message: 'odd' }]]]) });
  assert.deepEqual(after.setAside.map(({ errors }) => errors[0]?.message), ['odd']);
  assert.ok(clustersOf(after).has('outbound|9080|v3|reviews.default.svc.cluster.local'));
  const later = check([...base, newest, ...good('details', 'details', 'v1')], { previous: after, refusedLive: new Map([[keyText(newest.key), [{ path: '', message: 'odd' }]]]), lastGood: ({ kind, name }) => (kind === 'VirtualService' && name === 'reviews' ? before.inForce.get(keyText(newest.key)) : undefined) });
  assert.ok(clustersOf(later).has('outbound|9080|v3|reviews.default.svc.cluster.local'));
});

test('three culprits among a thousand are found in some thirty tests', () => {
  const [template] = good('x', 'details', 'v1');
  assert.ok(template);
  const suspects = Array.from({ length: 1000 }, (_, index): Config => ({ ...template, key: { ...template.key, name: `rule-${index}` } }));
  const bad = new Set(['rule-3', 'rule-500', 'rule-999']);
  let tests = 0;
  const culprits = findCulprits({ base: [], suspects, test: (configs) => (tests++, configs.filter(({ key }) => bad.has(key.name)).map(({ key }) => ({ path: '', message: key.name }))) });
  assert.deepEqual(culprits?.map(({ config, errors }) => [config.key.name, errors[0]?.message]), [...bad].map((name) => [name, name]));
  assert.ok(tests < 80, `${tests} tests`);
});

test('whom to ask for all others can be limited: what only others would refuse then stays', () => {
  const elsewhere = (name: string, namespace: string, value: string) => configsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: ${namespace}}
spec: {exportTo: ["."], hosts: [details.default.svc.cluster.local], http: [{headers: {request: {set: {x-who: "${value}"}}}, route: [{destination: {host: details.default.svc.cluster.local}}]}]}
`);
  const configs = [...bookinfo(), ...elsewhere('fine', 'one', 'me'), ...elsewhere('odd', 'two', '%NO_SUCH_WORD%')];
  assert.deepEqual(names(check(configs)), ['odd']);
  assert.deepEqual(names(check(configs, { maxRepresentatives: 1 })), []);
});

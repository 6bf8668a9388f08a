import assert from 'node:assert/strict';
import { test } from 'node:test';
import { laidOver, meshDiff } from './diff.ts';
import { withAssumedPods } from './journey/assumed-pods.ts';
import { loadMesh, type LoadedMesh } from './load.ts';
import { readRequests, requestsSeen } from './requests.ts';
import { sampleText } from './testing/ask.ts';

const load = (...names: string[]) => loadMesh(names.map((name) => ({ name, text: sampleText(`bookinfo/${name}`) })));
const base = load('platform/bookinfo.yaml', 'networking/destination-rule-all.yaml', 'networking/virtual-service-all-v1.yaml');
const requests = readRequests('[{from: default/productpage, url: "http://reviews:9080/"}, {from: default/productpage, url: "http://reviews:9080/", headers: {end-user: jason}}, {from: default/productpage, url: "http://details:9080/"}]');

function diff(update: LoadedMesh) {
  const found = meshDiff(withAssumedPods(base), withAssumedPods(laidOver(base, update)), { requests: requests.ok ? requests.value : [], nowMs: 0 });
  if (!found.ok) throw new Error(found.error[0]?.message);
  return found.value;
}

test('the same objects again change nothing', () => {
  const { objects, proxies, requests: changed } = diff(load('networking/virtual-service-all-v1.yaml'));
  assert.deepEqual([objects, proxies, changed], [[], [], []]);
});

test('a rule for one user changes the route tables, and the way of that user alone', () => {
  const { objects, proxies, requests: changed } = diff(load('networking/virtual-service-reviews-test-v2.yaml'));
  assert.deepEqual(objects, [{ key: 'networking.istio.io/VirtualService/default/reviews', change: 'changed' }]);
  assert.ok(proxies.length > 0 && proxies.every(({ resources }) => resources.every(({ type, changed: names }) => type === 'RDS' && names.join() === '9080')));
  assert.deepEqual(changed.map(({ request, verdict }) => [request.headers['end-user'], verdict]), [['jason', 'goes elsewhere']]);
});

test('a policy that denies and a subset that is not there are told apart', () => {
  const deny = diff(loadMesh([{ name: 'deny.yaml', text: 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: no}\nspec: {selector: {matchLabels: {app: details}}, action: DENY, rules: [{}]}\n' }]));
  assert.deepEqual(deny.requests.map(({ request, verdict }) => [request.url.hostname, verdict]), [['details', 'is denied']]);
  assert.match(deny.requests[0]?.after ?? '', /denied 403 by default\/no/);
  const lost = diff(loadMesh([{ name: 'lost.yaml', text: 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: details}\nspec: {hosts: [details], http: [{route: [{destination: {host: details, subset: v9}}]}]}\n' }]));
  assert.deepEqual(lost.requests.map(({ verdict }) => verdict), ['fails']);
  const half = diff(loadMesh([{ name: 'half.yaml', text: 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: details}\nspec: {hosts: [details], http: [{route: [{destination: {host: details, subset: v1}, weight: 60}, {destination: {host: details, subset: v9}, weight: 40}]}]}\n' }]));
  assert.deepEqual(half.requests.map(({ verdict }) => verdict), ['fails in part']);
  assert.match(half.requests[0]?.after ?? '', /v9\S* 40 \(nobody there\)/);
});

test('a new object that would be set aside is named', () => {
  const { setAside } = diff(loadMesh([{ name: 'bad.yaml', text: 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bad}\nspec: {hosts: [], http: []}\n' }]));
  assert.deepEqual(setAside.map(({ origin }) => [origin.kind, origin.name]), [['VirtualService', 'bad']]);
});

test('requests are read from access logs of both forms, inbound ones left out, each once', () => {
  const line = (path: string, cluster: string) => `[2026-01-01T00:00:00.000Z] "GET ${path} HTTP/1.1" 200 - via_upstream - "-" 0 1 2 1 "-" "curl/8" "id" "reviews:9080" "10.0.0.1:9080" ${cluster} 10.0.0.2:1 10.0.0.3:2 10.0.0.4:3 - default`;
  const log = [line('/a', 'outbound|9080||reviews'), line('/a', 'outbound|9080||reviews'), line('/b', 'inbound|9080||'), '{"method":"POST","path":"/c","authority":"details","upstream_cluster":"outbound|80||details"}', 'noise', '{broken'].join('\n');
  assert.deepEqual(requestsSeen('default/x', log).map(({ method, url }) => `${method} ${url.href}`), ['POST http://details/c', 'GET http://reviews:9080/a']);
});

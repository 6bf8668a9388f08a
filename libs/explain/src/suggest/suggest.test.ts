import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { withAssumedPods } from '../journey/assumed-pods.ts';
import { loadMesh } from '../load.ts';
import { defaultThresholds } from './generalise.ts';
import type { Observation } from './observation.ts';
import { holds, prove } from './proof.ts';
import { suggestionText } from './report.ts';
import { suggest, type SuggestOptions } from './suggest.ts';

const deployment = (name: string, app: string, port: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}, namespace: shop}
spec: {selector: {matchLabels: {app: ${app}, version: ${name}}}, template: {metadata: {labels: {app: ${app}, version: ${name}}}, spec: {containers: [{name: a, image: a, ports: [{containerPort: ${port}}]}]}}}
---`;
const mesh = (more = '') => withAssumedPods(loadMesh([{
  name: 'mesh.yaml',
  text: `${deployment('cart-v1', 'cart', 8080)}${deployment('cart-v2', 'cart', 8080)}${deployment('quiet', 'quiet', 80)}
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {selector: {app: cart}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp-db, port: 9000, targetPort: 9000}]}
---
${more}`,
}]));

const web = 'cluster.local/ns/shop/sa/web';
const seen = (more: Partial<Observation> = {}): Observation => ({ workload: 'shop/cart-v1', port: 8080, protocol: 'http', principal: web, sourceIp: '', method: 'GET', host: 'cart', path: '/items', denied: false, count: 5, answers: { ok: 5, clientError: 0, error: 0 }, lastSeenMs: 0, ...more });
const answered4xx = { ok: 0, clientError: 5, error: 0 };
const options: SuggestOptions = { plaintext: 'keep', minRequests: 1, withoutDoubtful: false, denyAll: false, dryRun: false, granularity: 'paths', hosts: false, thresholds: defaultThresholds, nowMs: 0 };

function run(observed: readonly Observation[], how: Partial<SuggestOptions> = {}, more = '') {
  const suggestion = suggest(mesh(more), observed, { ...options, ...how });
  const proof = prove(mesh(more), observed, suggestion, { nowMs: 0 });
  return { suggestion, proof, text: suggestionText(suggestion, proof) };
}

const rulesIn = (text: string) => parseAllDocuments(text).flatMap((document) => {
  const read = document.toJS() as { spec: { rules?: unknown[] } } | null;
  return read?.spec.rules ?? [];
});

test('one policy for all versions of a service, a rule for callers that do the same, and a proof that all of it passes', () => {
  const { text, proof } = run([seen(), seen({ principal: 'cluster.local/ns/shop/sa/app', workload: 'shop/cart-v1' }), seen({ method: 'POST', path: '/orders', principal: 'cluster.local/ns/shop/sa/jobs' })]);
  const [policy] = parseAllDocuments(text).map((document) => document.toJS() as { metadata: object; spec: object });
  assert.deepEqual(policy, {
    apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', metadata: { name: 'cart-observed', namespace: 'shop' },
    spec: { selector: { matchLabels: { app: 'cart' } }, action: 'ALLOW', rules: [
      { from: [{ source: { principals: [web, 'cluster.local/ns/shop/sa/app'] } }], to: [{ operation: { ports: ['8080'], methods: ['GET'], paths: ['/items'] } }] },
      { from: [{ source: { principals: ['cluster.local/ns/shop/sa/jobs'] } }], to: [{ operation: { ports: ['8080'], methods: ['POST'], paths: ['/orders'] } }] },
    ] },
  });
  assert.deepEqual([holds(proof), proof.pass, proof.broken.length], [true, 3, 0]);
  assert.match(text, /15 requests, 3 different ones[\s\S]*nobody was seen to reach: shop\/cart-v2[\s\S]*shop\/quiet: shop\/quiet/);
  assert.deepEqual(proof.probes.map(({ allowedBefore, allowedAfter }) => [allowedBefore, allowedAfter]), Array.from({ length: 4 }, () => [true, false]));
});

test('methods, hosts and paths are said as finely as asked for', () => {
  const observed = [seen(), seen({ method: 'POST', path: '/orders' })];
  const operations = (how: Partial<SuggestOptions>) => rulesIn(run(observed, how).text).flatMap((rule) => (rule as { to: { operation: object }[] }).to.map(({ operation }) => operation));
  assert.deepEqual(operations({ granularity: 'methods' }), [{ ports: ['8080'], methods: ['GET', 'POST'] }]);
  assert.deepEqual(operations({ granularity: 'callers' }), [{ ports: ['8080'] }]);
  assert.deepEqual(operations({ hosts: true }), [{ ports: ['8080'], hosts: ['cart'], methods: ['GET'], paths: ['/items'] }, { ports: ['8080'], hosts: ['cart'], methods: ['POST'], paths: ['/orders'] }]);
});

test('TCP callers are named with their port', () => {
  const { text, proof } = run([seen({ protocol: 'tcp', port: 9000, method: '', host: '', path: '' })]);
  assert.deepEqual(rulesIn(text), [{ from: [{ source: { principals: [web] } }], to: [{ operation: { ports: ['9000'] } }] }]);
  assert.ok(holds(proof));
});

test('a workload that plaintext callers reach stays as it is and they are named; or they are refused, or named by address, as asked', () => {
  const observed = [seen(), seen({ principal: '', sourceIp: '10.9.8.7' })];
  const kept = run(observed);
  assert.deepEqual([kept.suggestion.policies.length, holds(kept.proof)], [0, true]);
  assert.match(kept.text, /plaintext caller 10\.9\.8\.7 GET/);
  const refused = run(observed, { plaintext: 'refuse' });
  assert.deepEqual([holds(refused.proof), refused.proof.wanted.map(({ sourceIp }) => sourceIp), refused.proof.pass], [true, ['10.9.8.7'], 1]);
  const named = run(observed, { plaintext: 'address' });
  assert.deepEqual([holds(named.proof), named.proof.pass], [true, 2]);
  assert.match(named.text, /ipBlocks: \["10\.9\.8\.7"\]/);
  assert.doesNotMatch(named.text, /principals: \["\*"\]/);
});

test('a prober who got 4xx is written out, named as doubtful, widens nothing, and is left out when asked', () => {
  const observed = [seen(), ...Array.from({ length: 15 }, (_, i) => seen({ path: `/items/${i}`, answers: answered4xx })), seen({ path: '/admin', answers: answered4xx })];
  const { text, proof } = run(observed);
  assert.doesNotMatch(text, /\{\*\}/);
  assert.match(text, /# Doubtful[\s\S]*GET cart\/admin \(5 times\)/);
  assert.ok(holds(proof));
  const without = run(observed, { withoutDoubtful: true });
  assert.deepEqual([rulesIn(without.text).length, without.proof.wanted.length, holds(without.proof)], [1, 16, true]);
  assert.doesNotMatch(JSON.stringify(rulesIn(without.text)), /admin/);
});

test('what policies refuse today is not let in, neither by its own rule nor by a pattern of others', () => {
  const deny = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: only, namespace: shop}\nspec: {selector: {matchLabels: {app: cart}}, rules: [{to: [{operation: {paths: ["/items", "/items/1*"]}}]}]}\n';
  const observed = [...Array.from({ length: 9 }, (_, i) => seen({ path: `/items/1${i}` })), seen({ path: '/items/2', denied: true, answers: answered4xx }), seen({ path: '/admin', denied: true, answers: answered4xx })];
  const { text, proof } = run(observed, {}, deny);
  assert.deepEqual([holds(proof), proof.pass, proof.stayRefused, proof.opened.length], [true, 9, 2, 0]);
  assert.doesNotMatch(JSON.stringify(rulesIn(text)), /admin|\{\*\}/);
});

test('requests whose text means more in a rule than in a request get no rule, and the proof says so', () => {
  const { text, proof } = run([seen(), seen({ path: '/*' }), seen({ path: '/a/{**}' }), seen({ method: '' }), seen({ principal: '*' })]);
  assert.deepEqual(rulesIn(text), [{ from: [{ source: { principals: [web] } }], to: [{ operation: { ports: ['8080'], methods: ['GET'], paths: ['/items'] } }] }]);
  assert.equal(holds(proof), false);
  assert.match(text, /DOES NOT HOLD/);
});

test('no observed text gets out of its place in the YAML', () => {
  const evil = '/a"]\n  - from: []\n# ';
  const { text } = run([seen(), seen({ path: evil, principal: `${web}"\n---\nkind: Evil`, answers: answered4xx }), seen({ host: 'x\n---\nkind: Evil' })]);
  const kinds = parseAllDocuments(text).map((document) => (document.toJS() as { kind?: string } | null)?.kind);
  assert.deepEqual(kinds, ['AuthorizationPolicy']);
});

test('rarely seen requests are left out when asked, and a policy that would refuse everybody is not made of nothing', () => {
  assert.deepEqual(run([seen(), seen({ path: '/rare', count: 1 })], { minRequests: 2 }).proof.wanted.map(({ path }) => path), ['/rare']);
  assert.equal(run([seen({ count: 1 })], { minRequests: 2 }).suggestion.policies.length, 0);
});

test('a dry run is annotated and proven as if in force; deny-all comes for each namespace', () => {
  const { text, proof } = run([seen()], { dryRun: true, denyAll: true });
  const documents = parseAllDocuments(text).map((document) => document.toJS() as { metadata: { name: string; annotations: object }; spec: object });
  assert.deepEqual(documents.map(({ metadata, spec }) => [metadata.name, metadata.annotations, Object.keys(spec).length]), [['cart-observed', { 'istio.io/dry-run': 'true' }, 3], ['allow-nothing', { 'istio.io/dry-run': 'true' }, 0]]);
  assert.ok(proof.probes.every(({ allowedAfter }) => !allowedAfter));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kubeService } from './kinds/kubernetes/service/kind.ts';
import { virtualService } from './kinds/virtual-service/kind.ts';
import { verdict } from './testing/verdict.ts';

const yaml = '{hosts: [a], http: [{route: [{destination: {host: a}}]}]}';
const refusals: readonly (readonly [name: string, metadata: Record<string, unknown>, said: RegExp])[] = [
  ['a name in capitals', { name: 'Reviews' }, /^metadata\.name: /],
  ['a name of 254 letters', { name: 'a'.repeat(254) }, /^metadata\.name: /],
  ['a namespace with a dot', { namespace: 'a.b' }, /^metadata\.namespace: /],
  ['a label value with a space', { labels: { a: 'b c' } }, /^metadata\.labels\.a: /],
  ['a label value of 64 letters', { labels: { a: 'b'.repeat(64) } }, /^metadata\.labels\.a: .*63/],
  ['a label that is a number', { labels: { a: 1 } }, /^metadata\.labels\.a: .*quote it/],
  ['an annotation with two slashes', { annotations: { 'a/b/c': '' } }, /^metadata\.annotations\["a\/b\/c"\]: .*annotation name/],
  ['an annotation of the control plane', { annotations: { 'internal.istio.io/parents': 'a' } }, /internal\.istio\.io\/parents.*control plane/],
  ['dry-run where nothing dries', { annotations: { 'istio.io/dry-run': 'true' } }, /dry-run.*AuthorizationPolicy/],
  ['annotations of 300 KiB', { annotations: { a: 'x'.repeat(300 * 1024) } }, /^metadata\.annotations: .*262144/],
];

for (const [name, metadata, said] of refusals)
  test(`metadata: ${name} is refused`, () => {
    const { errors } = verdict(virtualService, yaml, metadata);
    assert.ok(errors.some((error) => said.test(error)), JSON.stringify(errors));
  });

test('metadata: what Kubernetes allows passes', () => {
  const metadata = { name: 'a.b-c.1', labels: { 'app.kubernetes.io/name': 'x_1.2-3', empty: '' }, annotations: { 'example.com/Note': 'any text: {}\n', 'kubectl.kubernetes.io/last-applied-configuration': '{}' } };
  assert.deepEqual(verdict(virtualService, yaml, metadata), { errors: [], warnings: [] });
  assert.deepEqual(verdict(kubeService, '{ports: [{port: 1}]}', { annotations: { 'internal.istio.io/parents': 'a' } }).errors, []);
});

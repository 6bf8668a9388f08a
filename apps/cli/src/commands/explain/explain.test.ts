import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runMeltemi } from '../../testing/run-meltemi.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-explain-'));
after(() => rmSync(dir, { recursive: true }));
const meltemi = (...args: string[]) => runMeltemi(dir, args);
const file = (name: string, text: string) => writeFileSync(join(dir, name), text);

const route = (name: string, status: number) => `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}}\nspec: {hosts: [a], http: [{directResponse: {status: ${status}}}]}\n`;
file('mesh.yaml', `apiVersion: v1
kind: Service
metadata: {name: a}
spec: {clusterIP: 10.96.0.1, selector: {app: a}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: a-v1}
spec: {selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}}
`);
file('bad.yaml', 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bad}\nspec: {hosts: [a], http: [{route: [{destination: {host: a}, weight: -1}]}]}\n');
file('proxy.json', '{"type":"sidecar","namespace":"default","labels":{"app":"a"},"ip":"10.0.0.1"}');
file('calls.json', '[{"mode":"outbound","host":"a","port":80},{"mode":"outbound","address":"198.51.100.1","port":9,"protocol":"tcp"}]');
file('strict.yaml', 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n');
file('networks.yaml', 'networks: {far: {endpoints: [{fromCidr: 10.9.0.0/16}], gateways: [{address: 203.0.113.77, port: 15443}]}}\n');
file('change.yaml', route('a', 418));

const question = ['--proxy-file', 'proxy.json', '--call-file', 'calls.json', '-o', 'json'];

test('answers are JSON alone, in the order of the calls; what is set aside is said beside them', async () => {
  const ran = await meltemi('explain', '-f', 'mesh.yaml', 'bad.yaml', ...question);
  assert.equal(ran.code, 0, ran.err);
  assert.deepEqual((JSON.parse(ran.out) as { outcome: string; cluster: string }[]).map(({ outcome, cluster }) => [outcome, cluster]), [['routed', 'outbound|80||a.default.svc.cluster.local'], ['routed', 'PassthroughCluster']]);
  assert.match(ran.err, /set aside: VirtualService bad\.default spec\.http\[0\]\.route\[0\]\.weight \(bad\.yaml:\d+\)/);
});

test('settings come from files of their own', async () => {
  const closed = await meltemi('explain', '-f', 'mesh.yaml', '--mesh-config', 'strict.yaml', ...question);
  assert.deepEqual((JSON.parse(closed.out) as { outcome: string; cluster: string }[]).map(({ outcome, cluster }) => [outcome, cluster])[1], ['denied', 'BlackHoleCluster']);
  file('far.yaml', 'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: far}\nspec: {hosts: [far.test], location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: http, protocol: HTTP}], endpoints: [{address: 10.9.0.5, network: far, labels: {security.istio.io/tlsMode: istio}}]}\n');
  file('far.json', '[{"mode":"outbound","host":"far.test","port":80}]');
  const endpoints = async (...more: string[]) => {
    const ran = await meltemi('explain', '-f', 'mesh.yaml', 'far.yaml', ...more, '--proxy-file', 'proxy.json', '--call-file', 'far.json', '-o', 'json');
    return (JSON.parse(ran.out) as { endpoints: { address: string }[] }[])[0]?.endpoints.map(({ address }) => address);
  };
  assert.deepEqual(await endpoints('--mesh-networks', 'networks.yaml'), ['203.0.113.77:15443'], 'through the gateway of that network');
  assert.notDeepEqual(await endpoints(), ['203.0.113.77:15443']);
});

test('for people: a workload asks; who is not known is told who is', async () => {
  const ran = await meltemi('explain', '-f', 'mesh.yaml', '--from', 'default/a', 'GET', 'http://a/x', '-H', 'k: v');
  assert.equal(ran.code, 0, ran.err);
  assert.match(ran.out, /a-v1\.default[\s\S]*→ routed[\s\S]*cluster {4}outbound\|80\|\|a\.default\.svc\.cluster\.local[\s\S]*inbound\|80\|\|/);
  for (const request of [['GET', 'http://a/x'], ['http://a/x']]) {
    const behind = await meltemi('explain', '--from', 'default/a', '-f', 'mesh.yaml', ...request);
    assert.deepEqual([behind.code, behind.out], [0, ran.out], `the request behind the files: ${behind.err}`);
  }
  const lost = await meltemi('explain', '-f', 'mesh.yaml', '-f', 'bad.yaml', '--from', 'default/nobody', 'http://a/');
  assert.deepEqual([lost.code, /no workload "default\/nobody" is known; there are default\/a-v1/.test(lost.err)], [1, true]);
  assert.match(lost.err, /set aside: VirtualService bad\.default/, 'it may be among what is set aside');
});

test('a question that is not one exits 64, one that cannot be read 1 with its field', async () => {
  for (const args of [['explain'], ['explain', '--from', 'a', 'GET', '//'], ['explain', '-f', 'mesh.yaml', '--from', 'default/a', 'GET', 'http://a/', '-H', 'nothing']]) assert.equal((await meltemi(...args)).code, 64, args.join(' '));
  file('wrong.json', '[{"mode":"outbound","prot":80}]');
  const wrong = await meltemi('explain', '-f', 'mesh.yaml', '--proxy-file', 'proxy.json', '--call-file', 'wrong.json');
  assert.deepEqual([wrong.code, /wrong\.json: calls\[0\]\.prot/.test(wrong.err)], [1, true]);
});

test('diff tells what would change and exits 1 only when asked to', async () => {
  file('requests.yaml', '[{from: default/a, url: "http://a/"}]');
  const args = ['diff', '--base', 'mesh.yaml', '-f', 'change.yaml', '--requests', 'requests.yaml'];
  const ran = await meltemi(...args, '-o', 'json');
  assert.equal(ran.code, 0, ran.err);
  const { objects, proxies, requests } = JSON.parse(ran.out) as { objects: unknown[]; proxies: { proxy: string }[]; requests: { verdict: string; after: string }[] };
  assert.deepEqual([objects, proxies.map(({ proxy }) => proxy), requests.map(({ verdict }) => verdict)], [[{ key: 'networking.istio.io/VirtualService/default/a', change: 'added' }], ['sidecar default/a-v1'], ['is treated otherwise']]);
  assert.equal((await meltemi(...args, '--exit-code')).code, 1);
  assert.equal((await meltemi('diff', '--base', 'mesh.yaml', '-f', 'mesh.yaml', '--exit-code')).code, 0);
});

test('test runs expectations: 0 when all hold, 1 with the differences, 1 when there is none', async () => {
  const expectations = (status: number) => `apiVersion: meltemi.io/v1alpha1\nkind: MeshTest\nmetadata: {name: t}\nspec:\n  proxy: {type: sidecar, namespace: default}\n  tests:\n  - {name: teapot, call: {mode: outbound, host: a, port: 80}, expect: {outcome: direct_response, status: ${status}}}\n`;
  file('holds.yaml', expectations(418));
  file('fails.yaml', expectations(200));
  const holds = await meltemi('test', 'mesh.yaml', 'change.yaml', 'holds.yaml');
  assert.deepEqual([holds.code, /1 passed, 0 failed/.test(holds.out)], [0, true]);
  const fails = await meltemi('test', 'mesh.yaml', 'change.yaml', 'fails.yaml');
  assert.deepEqual([fails.code, /FAIL {2}t: teapot \(fails\.yaml:\d+\)\n {6}status: expected 200, is 418/.test(fails.out)], [1, true]);
  assert.equal((await meltemi('test', 'mesh.yaml')).code, 1);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { decode, defaultMeshConfig, parseYamlDocuments } from '@meltemi/config';
import { buildPushContext, proxyFromNode } from '@meltemi/pilot';
import { foreignClaim, misnamed } from './proxy-claims.ts';

const pod = (name: string, { ip, account = 'default', namespace = 'default', more = '' }: { ip: string; account?: string; namespace?: string; more?: string }) =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}, namespace: ${namespace}}\nspec: {serviceAccountName: ${account}, containers: [{name: app, image: app}]${more}}\nstatus: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}]}\n`;
const entry = 'apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: w, namespace: thieves}\nspec: {address: 10.0.0.9, serviceAccount: thief}\n';
const push = buildPushContext({
  meshConfig: defaultMeshConfig(),
  configs: parseYamlDocuments([
    pod('reviews-0', { ip: '10.0.0.1', account: 'reviews' }), pod('ratings-0', { ip: '10.0.0.2', account: 'ratings' }),
    pod('agent-0', { ip: '10.1.0.1', account: 'agent', more: ', hostNetwork: true' }), entry,
  ].join('---\n'), 'test').documents.flatMap(({ raw }) => {
    const decoded = raw && decode(raw);
    if (!decoded?.ok) throw new Error(JSON.stringify(decoded));
    return [decoded.value.config];
  }),
});

function claim(id: string, account: string, more: Record<string, string> = {}): string | undefined {
  const proxy = proxyFromNode({ id, cluster: '', metadata: { SERVICE_ACCOUNT: account, ...more }, userAgentName: '' } as unknown as Node);
  assert.ok(proxy.ok);
  return misnamed(proxy.value) ?? foreignClaim(push, proxy.value);
}

test('a proxy at the address and under the name of its own Pod, or where no Pod is, is believed', () => {
  assert.equal(claim('sidecar~10.0.0.1~reviews-0.default~default.svc.cluster.local', 'reviews'), undefined);
  assert.equal(claim('sidecar~10.9.9.9~vm-0.default~default.svc.cluster.local', 'vm'), undefined);
  assert.equal(claim('sidecar~10.1.0.1~other-0.default~default.svc.cluster.local', 'other'), undefined, 'Pods of the node network share its address');
  assert.equal(claim('sidecar~10.0.0.9~db-0.default~default.svc.cluster.local', 'db'), undefined, 'nobody is kept out by an entry that others wrote');
});

test('a proxy that takes the name, the address or the namespace of another is caught', () => {
  assert.match(claim('sidecar~10.0.0.1~ratings-1.default~default.svc.cluster.local', 'ratings') ?? '', /address 10\.0\.0\.1 belongs to Pod default\/reviews-0, which runs as default\/reviews, not as default\/ratings/);
  assert.match(claim('sidecar~10.0.0.2~ratings-0.default~default.svc.cluster.local', 'ratings', { INSTANCE_IPS: '10.0.0.2,10.0.0.1' }) ?? '', /address 10\.0\.0\.1 belongs to/);
  assert.match(claim('sidecar~10.7.7.7~reviews-0.default~default.svc.cluster.local', 'ratings') ?? '', /Pod default\/reviews-0 runs as default\/reviews/);
  assert.match(claim('sidecar~10.7.7.7~reviews-0.default~default.svc.cluster.local', 'thief', { NAMESPACE: 'thieves' }) ?? '', /its name reviews-0\.default is of another namespace than "thieves"/);
});

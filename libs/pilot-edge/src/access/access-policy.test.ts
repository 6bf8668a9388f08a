import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseSpiffeId } from '@meltemi/identity';
import { resourceOf, type AccessVerb } from './access-policy.ts';
import { meshCaller, socketOwner } from './api-caller.ts';
import { noRoles, policyOf } from './testing/roles.ts';

const caller = (id: string) => {
  const parsed = parseSpiffeId(id);
  assert.ok(parsed.ok);
  return meshCaller(parsed.value, { trustDomain: 'cluster.local' });
};
const deployer = caller('spiffe://cluster.local/ns/ci/sa/deployer');
const can = (policy: ReturnType<typeof policyOf>, who: ReturnType<typeof caller>, verb: AccessVerb, kind: string, namespace = 'shop', name?: string) => {
  const group = { Secret: '', Service: '', MeshConfig: 'config.istio.io', AuthorizationPolicy: 'security.istio.io' }[kind] ?? 'networking.istio.io';
  return policy.decide(who, { verb, group, resource: resourceOf({ group, kind }), namespace, ...(name === undefined ? {} : { name }) });
};
const binding = (kind: string, namespace: string, role: string, subject: string) =>
  `apiVersion: rbac.authorization.k8s.io/v1\nkind: ${kind}\nmetadata: {name: b${namespace === '' ? '' : `, namespace: ${namespace}`}}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: ${role}}\nsubjects: [${subject}]\n`;
const deployerSubject = '{kind: ServiceAccount, namespace: ci, name: deployer}';

test('without a binding nobody but the owner of the socket may do anything, and the refusal names the least role that would do', () => {
  assert.deepEqual(can(noRoles(), deployer, 'list', 'VirtualService'), { allowed: false, roles: ['ClusterRole "view"', 'ClusterRole "edit"', 'ClusterRole "admin"'] });
  assert.deepEqual(can(noRoles(), deployer, 'update', 'Secret'), { allowed: false, roles: ['ClusterRole "admin"', 'ClusterRole "cluster-admin"'] });
  assert.equal(can(noRoles(), socketOwner, 'delete', 'Secret').allowed, true);
});

test('a RoleBinding grants in its namespace alone, a ClusterRoleBinding everywhere', () => {
  const own = policyOf(binding('RoleBinding', 'shop', 'edit', deployerSubject));
  assert.deepEqual(can(own, deployer, 'create', 'VirtualService'), { allowed: true, by: 'ClusterRole "edit" bound by RoleBinding "b"' });
  assert.equal(can(own, deployer, 'create', 'VirtualService', 'payments').allowed, false);
  assert.equal(can(own, deployer, 'list', 'VirtualService', '').allowed, false);
  const all = policyOf(binding('ClusterRoleBinding', '', 'edit', deployerSubject));
  assert.equal(can(all, deployer, 'create', 'VirtualService', 'payments').allowed, true);
  assert.equal(can(all, deployer, 'list', 'VirtualService', '').allowed, true);
});

test('Secrets are of admin, not of view or edit', () => {
  for (const [role, read, write] of [['view', false, false], ['edit', false, false], ['admin', true, true]] as const) {
    const policy = policyOf(binding('RoleBinding', 'shop', role, deployerSubject));
    assert.deepEqual([can(policy, deployer, 'list', 'Secret').allowed, can(policy, deployer, 'update', 'Secret').allowed], [read, write], role);
    assert.equal(can(policy, deployer, 'get', 'AuthorizationPolicy').allowed, true);
    assert.equal(can(policy, deployer, 'delete', 'AuthorizationPolicy').allowed, role !== 'view');
  }
});

test('subjects are service accounts of the own trust domain, users by SPIFFE id, and groups; another trust domain shares only the group of everybody', () => {
  const stranger = caller('spiffe://other.example/ns/ci/sa/deployer');
  assert.equal(can(policyOf(binding('ClusterRoleBinding', '', 'view', deployerSubject)), stranger, 'get', 'Service').allowed, false);
  assert.equal(can(policyOf(binding('ClusterRoleBinding', '', 'view', '{kind: Group, name: "system:serviceaccounts:ci"}')), stranger, 'get', 'Service').allowed, false);
  assert.equal(can(policyOf(binding('ClusterRoleBinding', '', 'view', '{kind: Group, name: "system:serviceaccounts:ci"}')), deployer, 'get', 'Service').allowed, true);
  assert.equal(can(policyOf(binding('ClusterRoleBinding', '', 'view', '{kind: User, name: "spiffe://other.example/ns/ci/sa/deployer"}')), stranger, 'get', 'Service').allowed, true);
  assert.equal(can(policyOf(binding('ClusterRoleBinding', '', 'view', '{kind: Group, name: "system:authenticated"}')), stranger, 'get', 'Service').allowed, true);
  // A name cannot be made to look like another subject.
  assert.equal(can(policyOf(binding('ClusterRoleBinding', '', 'view', '{kind: User, name: "system:masters"}')), deployer, 'get', 'Service').allowed, false);
});

test('rules may name kinds and objects; a rule about names lists nothing', () => {
  const policy = policyOf(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: weights, namespace: shop}
rules:
- {apiGroups: [networking.istio.io], resources: [virtualservices], verbs: [get, list, update], resourceNames: [cart]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: weights, namespace: shop}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: weights}
subjects: [${deployerSubject}]
`);
  assert.equal(can(policy, deployer, 'update', 'VirtualService', 'shop', 'cart').allowed, true);
  assert.equal(can(policy, deployer, 'update', 'VirtualService', 'shop', 'till').allowed, false);
  assert.equal(can(policy, deployer, 'list', 'VirtualService').allowed, false);
  assert.equal(can(policy, deployer, 'create', 'VirtualService', 'shop', 'cart').allowed, false);
  assert.equal(can(policy, deployer, 'update', 'DestinationRule', 'shop', 'cart').allowed, false);
});

test('the roles of the guide are ones that pilot takes', () => {
  const guide = readFileSync(join(import.meta.dirname, '../../../../apps/docs/guides/control-plane-access.md'), 'utf8');
  const policy = policyOf(/```yaml\n([^]*?)```/.exec(guide)?.[1] ?? '');
  assert.equal(can(policy, deployer, 'create', 'VirtualService').allowed, true);
  assert.equal(can(policy, deployer, 'list', 'VirtualService', '').allowed, true);
});

test('what is wrong in roles and bindings is said with object and field, and a binding to no role is a mistake', () => {
  for (const [yaml, reason] of [
    ['apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: r, namespace: a}\nrules: [{apiGroups: [""], resources: [], verbs: [get], nonResourceURLs: [/x]}]\n', /Role a\/r: rules\[0\]\.nonResourceURLs: is not supported[^]*rules\[0\]\.resources: is required/],
    [binding('RoleBinding', 'a', 'edit', '{kind: Robot, name: x}'), /RoleBinding a\/b: subjects\[0\]\.kind: must be ServiceAccount/],
    [binding('RoleBinding', 'a', 'edit', '{kind: ServiceAccount, name: x}'), /subjects\[0\]\.namespace: must be a text/],
    [binding('ClusterRoleBinding', '', 'editor', deployerSubject), /ClusterRoleBinding b: roleRef\.name: there is no ClusterRole "editor"/],
    ['apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\naggregationRule: {}\nrules: []\n', /aggregationRule: is not supported/],
  ] as const) assert.throws(() => policyOf(yaml), reason);
});

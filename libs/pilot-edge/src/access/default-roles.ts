import type { RbacRole, RbacRule } from './rbac-objects.ts';

/** Group of what pilot knows beside objects … */
export const ownGroup = 'meltemi.io';
/** … which is the connected proxies (proxy-status), and what is wrong with sources as a whole. */
export const ownResources: ReadonlySet<string> = new Set(['proxies', 'sourceproblems']);

const configGroups = ['networking.istio.io', 'security.istio.io', 'telemetry.istio.io', 'extensions.istio.io', 'gateway.networking.k8s.io', 'networking.k8s.io', ownGroup];
/** Core and app kinds that pilot reads; Secrets are not among them. */
const registryResources = ['services', 'endpoints', 'endpointslices', 'pods', 'nodes', 'namespaces', 'serviceaccounts', 'configmaps', 'deployments'];
const readVerbs = ['get', 'list', 'watch'];
const writeVerbs = ['create', 'update', 'delete'];

/** All that is configuration, for these verbs. */
function configuration(verbs: readonly string[]): RbacRule[] {
  return [rule(configGroups, ['*'], verbs), rule(['', 'apps', 'discovery.k8s.io'], registryResources, verbs)];
}

function rule(apiGroups: readonly string[], resources: readonly string[], verbs: readonly string[]): RbacRule {
  return { apiGroups, resources, verbs, resourceNames: [] };
}

function clusterRole(name: string, rules: readonly RbacRule[]): RbacRole {
  return { kind: 'ClusterRole', namespace: '', name, rules };
}

/** Kubernetes' user-facing roles, for the mesh's objects. From least to most: what a refusal names first. Nobody has any of them unless bound. */
export const defaultRoles: readonly RbacRole[] = [
  clusterRole('view', configuration(readVerbs)),
  clusterRole('edit', configuration([...readVerbs, ...writeVerbs])),
  clusterRole('admin', [...configuration([...readVerbs, ...writeVerbs]), rule([''], ['secrets'], [...readVerbs, ...writeVerbs])]),
  clusterRole('cluster-admin', [rule(['*'], ['*'], ['*'])]),
];

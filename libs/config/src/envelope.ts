import { fail, ok, type FieldError, type Result } from '@meltemi/base';
import type { ConfigKind } from './kinds/kind.ts';
import { findKind } from './kinds/registry.ts';
import { meshConfig } from './kinds/mesh-config/kind.ts';
import { meshNetworks } from './kinds/mesh-networks/kind.ts';
import type { RawObject } from './object.ts';
import { isMap } from './schema/containers.ts';
import { found } from './schema/schema.ts';

/** Whose API a group is. */
export type GroupOwner = 'istio' | 'kubernetes' | 'other';

const kubernetesGroups = ['', 'apps', 'batch', 'autoscaling', 'policy', 'extensions'];

export function groupOwner(group: string): GroupOwner {
  if (group.endsWith('.istio.io') || group === 'istio.io') return 'istio';
  return kubernetesGroups.includes(group) || group.endsWith('.k8s.io') ? 'kubernetes' : 'other';
}

/** "apps/v1" → apps, v1; "v1" → "", v1. */
export function splitApiVersion(apiVersion: string): { readonly group: string; readonly version: string } {
  const slash = apiVersion.indexOf('/');
  return { group: apiVersion.slice(0, Math.max(0, slash)), version: apiVersion.slice(slash + 1) };
}

// Kubernetes' own cluster-scoped kinds that come along in manifests; without this they would be shown in namespace "default".
const clusterScoped = [
  'ClusterRole',
  'ClusterRoleBinding',
  'CustomResourceDefinition',
  'GatewayClass',
  'IngressClass',
  'MutatingWebhookConfiguration',
  'Node',
  'PersistentVolume',
  'PriorityClass',
  'StorageClass',
  'ValidatingAdmissionPolicy',
  'ValidatingWebhookConfiguration',
];

/**
 * Reads what names an object: apiVersion, kind, metadata.name and namespace ("default" when a namespaced object has none).
 * The name may come out "" — `decode` complains about that, with all the rest.
 */
export function toRawObject(content: unknown): Result<RawObject> {
  if (!isMap(content)) return fail('', `must be an object with apiVersion, kind and metadata, found ${found(content)}`);
  const { apiVersion, kind, metadata } = content;
  const errors: FieldError[] = [];
  for (const [field, value] of [['apiVersion', apiVersion], ['kind', kind]] as const)
    if (typeof value !== 'string' || value === '') errors.push({ path: field, message: value === undefined ? 'is required' : `must be a string, found ${found(value)}` });
  if (typeof apiVersion === 'string' && !/^([a-z0-9.-]+\/)?[A-Za-z0-9]+$/.test(apiVersion)) errors.push({ path: 'apiVersion', message: `"${apiVersion}" must be "version" or "group/version"` });
  if (errors.length > 0 || typeof apiVersion !== 'string' || typeof kind !== 'string') return { ok: false, error: errors };
  const { group } = splitApiVersion(apiVersion);
  const scope = findKind(group, kind)?.scope ?? (clusterScoped.includes(kind) ? 'cluster' : 'namespaced');
  const named = isMap(metadata) ? metadata : {};
  const namespace = scope === 'cluster' ? '' : text(named['namespace']) || 'default';
  return ok({ key: { group, kind, namespace, name: text(named['name']) }, apiVersion, content });
}

/** MeshConfig or MeshNetworks when a document is one itself rather than an object: no envelope, and at least one of its fields. */
export function bareMeshKind(content: unknown): ConfigKind | undefined {
  if (!isMap(content) || 'apiVersion' in content || 'kind' in content) return undefined;
  const names = Object.keys(content).map((name) => name.replace(/_([a-zA-Z0-9])/g, (_, char: string) => char.toUpperCase()));
  return [meshConfig, meshNetworks].find((kind) => names.some((name) => kind.schema.fields?.includes(name) === true)) as ConfigKind | undefined;
}

/** Gives such a document the envelope every object has. There is one of each, named "default". */
export function wrapBareMesh({ group, kind, versions }: ConfigKind, spec: unknown): RawObject {
  const apiVersion = `${group}/${versions[0]}`;
  return { key: { group, kind, namespace: '', name: 'default' }, apiVersion, content: { apiVersion, kind, metadata: { name: 'default' }, spec } };
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

import { keyProblem, type ConfigKey } from '@meltemi/config';

/*
 * <root>/config/<group>/<kind>/<namespace>/<name> and <root>/status/… alike. Kubernetes' core group is "core" and the namespace of cluster-scoped objects
 * is "_" (neither can be a real one), so that no path segment is empty. <root>/writers/… holds the fences of fenced-writer.ts,
 * <root>/pilots/… and <root>/registered/… what hangs on leases.
 */

/** The etcd key of an object, or of its status. */
export function etcdKey(root: string, space: 'config' | 'status', key: ConfigKey): string {
  return `${root}/${space}/${key.group === '' ? 'core' : key.group}/${key.kind}/${key.namespace === '' ? '_' : key.namespace}/${key.name}`;
}

/** The object an etcd key under `prefix` names, or undefined when it names none. */
export function configKeyOf(prefix: string, etcdKeyText: string): ConfigKey | undefined {
  if (!etcdKeyText.startsWith(prefix)) return undefined;
  const parts = etcdKeyText.slice(prefix.length).split('/');
  const [group = '', kind = '', namespace = '', name = ''] = parts;
  if (parts.length !== 4 || group === '' || namespace === '') return undefined;
  const key = { group: group === 'core' ? '' : group, kind, namespace: namespace === '_' ? '' : namespace, name };
  return keyProblem(key) === undefined ? key : undefined;
}

/** The end of the range of all keys that begin with `prefix` (which ends in "/"). */
export function prefixEnd(prefix: string): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end[end.length - 1] ?? 0) + 1;
  return end;
}

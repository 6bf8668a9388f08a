import type { IKeyValue } from 'etcd3';
import { err, ok, type Result } from '@meltemi/base';
import { deepFreeze, storedObject, type ConfigKey, type RawObject, type StatusRecord, type StoredObject, type UnreadableValue } from '@meltemi/config';
import { readDocuments } from '../read-documents.ts';
import { configKeyOf } from './etcd-keys.ts';

/** The object in a key's value, ours (JSON) or what somebody put there with etcdctl (JSON or YAML); or why it is none. */
export function readStored(prefix: string, kv: IKeyValue): Result<StoredObject, UnreadableValue> {
  const rawKey = kv.key.toString();
  const key = configKeyOf(prefix, rawKey);
  if (key === undefined) return err({ rawKey, reason: `the key names no object: write to ${prefix}<group>/<kind>/<namespace>/<name>, with "core" for no group and "_" for no namespace` });
  const unreadable = (reason: string): Result<StoredObject, UnreadableValue> => err({ rawKey, key, reason });
  const text = kv.value.toString('utf8');
  const [document, second] = readDocuments(text, rawKey);
  if (document === undefined) return unreadable('the value is empty');
  if (second !== undefined) return unreadable('the value has several YAML documents: one key holds one object');
  const [problem] = document.problems;
  if (document.object === undefined) return unreadable(`line ${problem?.line ?? document.line}: ${problem?.path ?? ''} ${problem?.message ?? 'is unreadable'}`.replace('  ', ' '));
  const difference = keyDifference(key, document.object);
  if (difference !== undefined) return unreadable(difference);
  return ok(storedObject({ ...document.object, key }, kv.mod_revision));
}

/** The status record in a key's value; undefined when it is none of ours. */
export function readStatus(prefix: string, kv: IKeyValue): { readonly key: ConfigKey; readonly record: StatusRecord } | undefined {
  const key = configKeyOf(prefix, kv.key.toString());
  if (key === undefined) return undefined;
  try {
    const record = JSON.parse(kv.value.toString('utf8')) as StatusRecord | null;
    return typeof record?.status === 'object' ? { key, record: deepFreeze(record) } : undefined;
  } catch {
    return undefined;
  }
}

function keyDifference(key: ConfigKey, { key: inside, content }: RawObject): string | undefined {
  for (const part of ['group', 'kind', 'name', 'namespace'] as const) {
    // An object may leave its namespace to the key, as kubectl's does to -n.
    if (inside[part] === key[part] || (part === 'namespace' && !saysNamespace(content))) continue;
    return `the object's ${part} is "${inside[part]}", the key says "${key[part]}": make them agree`;
  }
  return undefined;
}

function saysNamespace(content: Readonly<Record<string, unknown>>): boolean {
  const metadata = content['metadata'];
  return typeof metadata === 'object' && metadata !== null && 'namespace' in metadata && metadata.namespace !== '';
}

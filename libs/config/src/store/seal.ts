import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { keyText, type ConfigKey, type RawObject } from '../object.ts';
import type { Conflict, Expectation, StatusUpdate, StoredObject, StoreError, StoreLimits, StoreWrite } from './config-store.ts';

/** A write whose object was checked against the limits and cut off from its caller: what every store begins a commit with. */
export interface SealedWrite {
  readonly key: ConfigKey;
  readonly text: string;
  /** undefined: delete. A private copy, not yet frozen or stamped. */
  readonly object: RawObject | undefined;
  readonly expect: Expectation | undefined;
}

/** Copies and checks the writes of one commit: keys that make sense, each once, everything within `limits`. */
export function sealWrites(writes: readonly StoreWrite[], limits: StoreLimits): Result<SealedWrite[], StoreError> {
  if (writes.length > limits.maxCommitObjects) {
    return err(tooLarge(`a commit holds at most ${limits.maxCommitObjects} objects, this one ${writes.length}: split it`));
  }
  const sealed: SealedWrite[] = [];
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  let total = 0;
  for (const [index, write] of writes.entries()) {
    const key = write.type === 'put' ? write.object.key : write.key;
    const text = keyText(key);
    const wrong = keyProblem(key) ?? (seen.has(text) ? `${text} appears twice in one commit` : undefined);
    seen.add(text);
    if (wrong !== undefined) {
      errors.push({ path: `writes[${index}]`, message: wrong });
      continue;
    }
    const copy = write.type === 'put' ? copyObject(write.object) : undefined;
    if (copy !== undefined && copy.bytes > limits.maxObjectBytes) {
      return err(tooLarge(`${text} has ${copy.bytes} bytes as JSON, an object may have ${limits.maxObjectBytes}: split it`));
    }
    total += copy?.bytes ?? 0;
    sealed.push({ key: { ...key }, text, object: copy?.object, expect: write.expect });
  }
  if (errors.length > 0) return err({ code: 'invalid', message: errors.map((each) => each.message).join('; '), errors });
  if (total > limits.maxCommitBytes) {
    return err(tooLarge(`the commit has ${total} bytes as JSON, one commit may have ${limits.maxCommitBytes}: commit in parts`));
  }
  return ok(sealed);
}

/** The same checks for status writes; each update comes back as a private, frozen copy. */
export function sealStatus(updates: readonly StatusUpdate[], limits: StoreLimits): Result<StatusUpdate[], StoreError> {
  if (updates.length > limits.maxCommitObjects) {
    return err(tooLarge(`a status write holds at most ${limits.maxCommitObjects} records, this one ${updates.length}: split it`));
  }
  const sealed: StatusUpdate[] = [];
  let total = 0;
  for (const [index, update] of updates.entries()) {
    const wrong = keyProblem(update.key);
    if (wrong !== undefined) return err({ code: 'invalid', message: wrong, errors: [{ path: `updates[${index}]`, message: wrong }] });
    const json = JSON.stringify({ key: update.key, record: update.record });
    total += Buffer.byteLength(json);
    const copy = JSON.parse(json) as StatusUpdate;
    sealed.push(deepFreeze({ key: copy.key, record: copy.record, ...(update.unlessStored ? { unlessStored: true as const } : {}) }));
  }
  if (total > limits.maxCommitBytes) return err(tooLarge(`the status write has ${total} bytes as JSON, one may have ${limits.maxCommitBytes}: write in parts`));
  return ok(sealed);
}

/** The expectations that do not hold, given what is there now. */
export function conflictsOf(writes: readonly SealedWrite[], current: (text: string) => string | undefined): Conflict[] {
  const conflicts: Conflict[] = [];
  for (const { key, text, expect } of writes) {
    if (expect === undefined) continue;
    const actual = current(text);
    if ((expect === 'absent' ? undefined : expect.version) !== actual) conflicts.push({ key, expected: expect, actual });
  }
  return conflicts;
}

export function conflictError(conflicts: readonly Conflict[]): StoreError {
  const message = conflicts.map(({ key, expected, actual }) => {
    if (expected === 'absent') return `${keyText(key)} already exists (version ${actual ?? '?'})`;
    return `${keyText(key)} is ${actual === undefined ? 'gone' : `at version ${actual}`}, not at ${expected.version}`;
  });
  return { code: 'conflict', message: `${message.join('; ')}: read it again and retry`, conflicts };
}

/** `object` as it is kept: metadata.creationTimestamp is `creationTimestamp`, all of it frozen. */
export function stampObject(object: RawObject, creationTimestamp: string): RawObject {
  const metadata = isRecord(object.content['metadata']) ? object.content['metadata'] : {};
  return deepFreeze({ ...object, content: { ...object.content, metadata: { ...metadata, creationTimestamp } } });
}

/** A stored object around what `stampObject` gave or what was read back. */
export function storedObject(object: RawObject, resourceVersion: string): StoredObject {
  const metadata = object.content['metadata'];
  const stamp = isRecord(metadata) ? metadata['creationTimestamp'] : undefined;
  return Object.freeze({ object: deepFreeze(object), resourceVersion, creationTimestamp: typeof stamp === 'string' ? stamp : '' });
}

/** Why `key` cannot name an object, or undefined. Segments become parts of a path in etcd. */
export function keyProblem(key: ConfigKey): string | undefined {
  if (key.kind === '') return 'the object has no kind';
  if (key.name === '') return `the ${key.kind} has no metadata.name`;
  for (const [part, value] of Object.entries({ group: key.group, kind: key.kind, namespace: key.namespace, name: key.name })) {
    if (!/^[A-Za-z0-9._:-]{0,253}$/.test(value)) return `${part} "${value.slice(0, 80)}" may hold at most 253 letters, digits, "-", ".", "_" and ":"`;
  }
  return undefined;
}

/** Freezes a JSON value all the way down and returns it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  Object.freeze(value);
  for (const inner of Object.values(value)) deepFreeze(inner);
  return value;
}

function copyObject(object: RawObject): { object: RawObject; bytes: number } {
  const json = JSON.stringify(object.content);
  return { object: { key: { ...object.key }, apiVersion: object.apiVersion, content: JSON.parse(json) as Record<string, unknown> }, bytes: Buffer.byteLength(json) };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function tooLarge(message: string): StoreError {
  return { code: 'too-large', message };
}

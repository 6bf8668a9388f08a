import type { FieldError } from '@meltemi/base';
import type { CelRule, Schema } from './type.ts';

export type { Schema } from './type.ts';

/** Absent stays absent: messages, wrappers, durations, members of a oneof. */
export function optional<T>(inner: Schema<T>): Schema<T | undefined> {
  return { ...inner, required: false, missing: () => undefined };
}

/** Must be there. */
export function required<T>(inner: Schema<T>): Schema<T> {
  return {
    ...inner,
    required: true,
    missing: (path, errors) => {
      errors.push({ path, message: 'is required' });
      return inner.missing(path, []);
    },
  };
}

/** A documented default other than proto3's zero. */
export function withDefault<T>(inner: Schema<T>, value: T): Schema<T> {
  return { ...inner, missing: () => value };
}

/** The same schema; its CRD also says these rules. What they say is checked by `validate` here. */
export function withCel<T>(inner: Schema<T>, ...rules: readonly CelRule[]): Schema<T> {
  return { ...inner, cel: [...(inner.cel ?? []), ...rules] };
}

/** "spec" + "http" → "spec.http"; names that are not plain are quoted: labels["app.kubernetes.io/name"]. */
export function child(path: string, name: string): string {
  if (!/^[\w-]+$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
}

/** "spec.http" + 0 → "spec.http[0]". */
export function item(path: string, index: number): string {
  return `${path}[${index}]`;
}

/** What was found, short enough for an error: `the string "5"`, `a list`. */
export function found(input: unknown): string {
  if (input === null || input === undefined) return 'nothing';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'object') return 'a map';
  if (typeof input === 'string') return `the string ${JSON.stringify(input.length > 60 ? `${input.slice(0, 60)}…` : input)}`;
  if (typeof input === 'number') return `the number ${input}`;
  if (typeof input === 'boolean') return `the boolean ${input}`;
  return `a ${typeof input}`;
}

/** Adds "must be …, found …". */
export function mismatch(errors: FieldError[], path: string, expected: string, input: unknown): void {
  errors.push({ path, message: `must be ${expected}, found ${found(input)}` });
}

/** Reshapes what another schema read. */
export function mapped<A, B>(inner: Schema<A>, reshape: (value: A) => B): Schema<B> {
  return {
    type: inner.type,
    decode: (input, path, errors) => reshape(inner.decode(input, path, errors)),
    missing: (path, errors) => reshape(inner.missing(path, errors)),
  };
}

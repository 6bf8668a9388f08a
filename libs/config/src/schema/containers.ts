import type { FieldError } from '@meltemi/base';
import type { StringMap, Struct } from '../kinds/types.ts';
import { suggestion } from './suggestion.ts';
import { string } from './scalars.ts';
import { child, item, mismatch, type Schema } from './schema.ts';
import type { OneOfGroup } from './type.ts';

/** One schema per field: forgetting a field of T, or typing it differently, does not compile. */
export type Fields<T> = { readonly [K in keyof T]-?: Schema<T[K]> };

export interface ObjectOptions {
  readonly oneofs?: readonly OneOfGroup[];
  /** 'ignore' for Kubernetes' objects, of which only some fields are read here. Default 'error'. */
  readonly unknown?: 'error' | 'ignore';
}

/** What an unknown field is called, in the errors of every message. */
const unknownField = 'unknown field';

/** True for the error of a field that its message does not have. */
export function isUnknownField({ message }: FieldError): boolean {
  return message.startsWith(`${unknownField} `);
}

/** A message: fields in camelCase or in proto's snake_case, null means absent, unknown ones are errors. */
export function object<T>(fields: Fields<T>, options: ObjectOptions = {}): Schema<T> {
  const names = Object.keys(fields);
  const schemas = fields as Readonly<Record<string, Schema<unknown>>>;
  const decode = (input: unknown, path: string, errors: FieldError[]): T => {
    const given = isMap(input) ? renamed(input, { names, path, errors, ignoreUnknown: options.unknown === 'ignore' }) : new Map<string, Given>();
    if (!isMap(input)) mismatch(errors, path, 'a map', input);
    const out: Record<string, unknown> = {};
    for (const name of names) {
      const schema = schemas[name];
      const one = given.get(name);
      const at = child(path, one?.name ?? name);
      const value = one === undefined ? schema?.missing(at, errors) : schema?.decode(one.value, at, errors);
      if (value !== undefined) out[name] = value;
    }
    for (const group of options.oneofs ?? []) checkOneof(group, { given, path, errors });
    return out as T;
  };
  return { decode, missing: (path, errors) => decode({}, path, errors), fields: names, type: { is: 'message', fields: schemas, oneofs: options.oneofs ?? [], open: options.unknown === 'ignore' } };
}

interface Given {
  /** As the user wrote it, so that errors point at what is in the file. */
  readonly name: string;
  readonly value: unknown;
}

interface Naming {
  readonly names: readonly string[];
  readonly path: string;
  readonly errors: FieldError[];
  readonly ignoreUnknown: boolean;
}

function renamed(input: Struct, { names, path, errors, ignoreUnknown }: Naming): Map<string, Given> {
  const given = new Map<string, Given>();
  for (const [name, value] of Object.entries(input)) {
    const camel = names.includes(name) ? name : name.replace(/_([a-zA-Z0-9])/g, (_, c: string) => c.toUpperCase());
    if (!names.includes(camel)) {
      if (!ignoreUnknown) errors.push({ path: child(path, name), message: `${unknownField} "${name}"${suggestion(camel, names)}` });
      continue;
    }
    if (value === null || value === undefined) continue;
    const other = given.get(camel);
    if (other) errors.push({ path: child(path, name), message: `is the same field as "${other.name}": keep one` });
    given.set(camel, { name, value });
  }
  return given;
}

function checkOneof(group: OneOfGroup, { given, path, errors }: { given: ReadonlyMap<string, Given>; path: string; errors: FieldError[] }): void {
  const set = group.keys.filter((key) => given.has(key));
  if (set.length > 1) errors.push({ path, message: `only one of ${group.keys.join(', ')} may be set, found ${set.join(', ')}` });
  if (set.length === 0 && group.required === true) errors.push({ path, message: `one of ${group.keys.join(', ')} must be set` });
}

export interface ListLimits {
  readonly minItems?: number;
  readonly maxItems?: number;
  /** The field by which no two items may be alike. */
  readonly uniqueBy?: string;
}

/** A list; absent is []. `minItems` is checked only when the list is there: use `required` besides. */
export function list<T>(inner: Schema<T>, limits: ListLimits = {}): Schema<readonly T[]> {
  return {
    type: { is: 'list', item: inner, ...limits },
    decode(input, path, errors) {
      if (!Array.isArray(input)) {
        mismatch(errors, path, 'a list', input);
        return [];
      }
      if (input.length < (limits.minItems ?? 0)) errors.push({ path, message: `must have at least ${limits.minItems} item(s)` });
      if (input.length > (limits.maxItems ?? Infinity)) {
        errors.push({ path, message: `must have at most ${limits.maxItems} items, has ${input.length}` });
        return [];
      }
      if (limits.uniqueBy !== undefined) checkUnique(input, limits.uniqueBy, { path, errors });
      return input.map((one: unknown, index) => {
        if (one === null || one === undefined) errors.push({ path: item(path, index), message: 'must not be null' });
        else return inner.decode(one, item(path, index), errors);
        return inner.missing(item(path, index), []);
      });
    },
    missing: () => [],
  };
}

function checkUnique(items: readonly unknown[], field: string, { path, errors }: { path: string; errors: FieldError[] }): void {
  const seen = new Set<unknown>();
  for (const [index, one] of items.entries()) {
    const value = isMap(one) ? one[field] : undefined;
    if (value === undefined || value === null) continue;
    if (seen.has(value)) errors.push({ path: child(item(path, index), field), message: `${JSON.stringify(value)} is listed already` });
    seen.add(value);
  }
}

export interface MapLimits {
  /** Checked only when the map is there. */
  readonly minKeys?: number;
  readonly maxKeys?: number;
  /** Reason why a key is not allowed. */
  readonly key?: (key: string) => string | undefined;
}

/** A map with free keys; absent is {}. */
export function map<T>(inner: Schema<T>, limits: MapLimits = {}): Schema<Readonly<Record<string, T>>> {
  const { minKeys, maxKeys } = limits;
  return {
    type: { is: 'map', value: inner, ...(minKeys !== undefined && { minKeys }), ...(maxKeys !== undefined && { maxKeys }) },
    decode(input, path, errors) {
      const entries: (readonly [string, T])[] = [];
      if (!isMap(input)) {
        mismatch(errors, path, 'a map', input);
        return {};
      }
      for (const [key, value] of Object.entries(input)) {
        const at = child(path, key);
        const reason = limits.key?.(key);
        if (reason !== undefined) errors.push({ path: at, message: reason });
        if (value === null || value === undefined) errors.push({ path: at, message: 'must not be null' });
        else entries.push([key, inner.decode(value, at, errors)]);
      }
      if (entries.length < (limits.minKeys ?? 0)) errors.push({ path, message: 'must not be empty: leave it out' });
      if (entries.length > (limits.maxKeys ?? Infinity)) errors.push({ path, message: `must have at most ${limits.maxKeys} keys, has ${entries.length}` });
      // fromEntries defines own properties, so a key like "__proto__" stays an ordinary key.
      return Object.fromEntries(entries);
    },
    missing: () => ({}),
  };
}

export function stringMap(limits: MapLimits = {}): Schema<StringMap> {
  return map(string(), limits);
}

export function strings(limits: ListLimits = {}): Schema<readonly string[]> {
  return list(string(), limits);
}

/** Any JSON object, kept as it is. */
export function struct(): Schema<Struct> {
  return {
    type: { is: 'struct' },
    decode(input, path, errors) {
      if (isMap(input)) return input;
      mismatch(errors, path, 'a map', input);
      return {};
    },
    missing: () => ({}),
  };
}

/** Anything. */
export function anything(): Schema<unknown> {
  return { type: { is: 'anything' }, decode: (input) => input, missing: () => undefined };
}

/** A JSON object (not null, not a list). */
export function isMap(input: unknown): input is Struct {
  return typeof input === 'object' && input !== null && !Array.isArray(input);
}

import type { StringMap, Struct } from '../kinds/types.ts';
import { isMap } from '../schema/containers.ts';

/** Readers of untyped JSON: what is missing or of another type reads as empty. */

export function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function mapAt(value: unknown, ...path: readonly string[]): Struct {
  let at: unknown = value;
  for (const name of path) at = isMap(at) ? at[name] : undefined;
  return isMap(at) ? at : {};
}

export function maps(value: unknown): readonly Struct[] {
  return Array.isArray(value) ? value.filter(isMap) : [];
}

export function textsIn(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];
}

/** The members that are texts; numbers and booleans count as what they print as. */
export function textMap(value: unknown): StringMap {
  const entries = Object.entries(mapAt(value)).flatMap(([key, one]) => (typeof one === 'string' || typeof one === 'number' || typeof one === 'boolean' ? [[key, String(one)] as const] : []));
  return Object.fromEntries(entries);
}

/** A whole number, also written as a string; NaN when it is none. */
export function wholeNumber(value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value)) return value;
  return typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : Number.NaN;
}

import type { Report } from './report.ts';

/** What happens to a field that is set: acted on, left out with a warning, or refused. */
export type FieldRule =
  | { readonly kind: 'use' }
  | { readonly kind: 'warn' | 'refuse'; readonly reason: string; readonly unless: ((value: unknown) => boolean) | null }
  | { readonly kind: 'oneof'; readonly cases: Readonly<Record<string, FieldRule>> };

type CaseOf<T> = NonNullable<T> extends { readonly $case: infer C extends string } ? C : never;

/** A rule for every field of a message (oneofs under their own name): one that is missing does not compile. */
export type FieldTable<T> = {
  readonly [K in keyof Required<T>]: [CaseOf<T[K]>] extends [never] ? FieldRule : { readonly kind: 'oneof'; readonly cases: Readonly<Record<CaseOf<T[K]>, FieldRule>> };
};

/** Acted on. */
export const use: FieldRule = { kind: 'use' };

/** Only tunes: named in a warning. `unless` tells harmless values. */
export function warn(reason: string, unless: ((value: unknown) => boolean) | null = null): FieldRule {
  return { kind: 'warn', reason, unless };
}

/** Would change traffic or security: refused by name. `unless` tells harmless values. */
export function refuse(reason: string, unless: ((value: unknown) => boolean) | null = null): FieldRule {
  return { kind: 'refuse', reason, unless };
}

export function oneof<C extends string>(cases: Readonly<Record<C, FieldRule>>): { readonly kind: 'oneof'; readonly cases: Readonly<Record<C, FieldRule>> } {
  return { kind: 'oneof', cases };
}

/** Reports every set field of `message` that its table does not let pass. Does not descend. */
export function checkFields<T extends object>(message: T, table: FieldTable<T>, path: string, report: Report): void {
  const fields = message as Readonly<Record<string, unknown>>;
  for (const [name, rule] of restrained.get(table) ?? restrainedOf(table)) {
    const value = fields[name];
    if (!isSet(value)) continue;
    if (rule.kind === 'oneof') applyCase(rule.cases, value, path, report);
    else apply(rule, name, value, path, report);
  }
}

/** By table: the fields that are not simply acted on. Most are. */
const restrained = new WeakMap<object, readonly (readonly [string, FieldRule])[]>();

function restrainedOf(table: object): readonly (readonly [string, FieldRule])[] {
  const rules = Object.entries(table as Readonly<Record<string, FieldRule>>).filter(([, rule]) => rule.kind !== 'use');
  restrained.set(table, rules);
  return rules;
}

function applyCase(cases: Readonly<Record<string, FieldRule>>, value: unknown, path: string, report: Report): void {
  const { $case: name, value: inner } = value as { $case: string; value: unknown };
  apply(cases[name], name, inner, path, report);
}

function apply(rule: FieldRule | undefined, name: string, value: unknown, path: string, report: Report): void {
  const where = fieldPath(path, name);
  if (!rule || rule.kind === 'oneof') report.refuse(where, 'is not known to this version');
  else if (rule.kind === 'use' || rule.unless?.(value) === true) return;
  else if (rule.kind === 'warn') report.warn(where, rule.reason);
  else report.refuse(where, rule.reason);
}

/** Differs from the proto default; an explicit false, 0 or "" in a wrapper counts as default. */
export function isSet(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === 0 || value === 0n || value === false) return false;
  if (Array.isArray(value) || Buffer.isBuffer(value)) return value.length > 0;
  // A map without entries; messages have their fields as keys.
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

const irregular: Readonly<Record<string, string>> = {
  consecutive5xx: 'consecutive_5xx', enforcingConsecutive5xx: 'enforcing_consecutive_5xx', proxy100Continue: 'proxy_100_continue',
  acceptHttp10: 'accept_http_10', defaultHostForHttp10: 'default_host_for_http_10',
};

/** `filters[0]` + `xffNumTrustedHops` → `filters[0].xff_num_trusted_hops`. */
export function fieldPath(path: string, name: string): string {
  const snake = Object.hasOwn(irregular, name) ? irregular[name] : name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return path === '' ? (snake ?? name) : `${path}.${snake}`;
}

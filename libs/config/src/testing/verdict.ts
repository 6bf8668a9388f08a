import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { decode } from '../decode.ts';
import { toRawObject } from '../envelope.ts';
import type { ConfigKind } from '../kinds/kind.ts';
import { Findings } from '../rules/findings.ts';
import { checkSupport } from '../support/check.ts';

/** What decoding says of an object of this kind whose spec (or whole body) is the given YAML. */
export interface Verdict {
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

export function verdict(kind: ConfigKind, yaml: string, metadata: Readonly<Record<string, unknown>> = {}): Verdict {
  const body: unknown = parse(yaml);
  const apiVersion = kind.group === '' ? kind.versions[0] : `${kind.group}/${kind.versions[0]}`;
  const raw = toRawObject({ apiVersion, kind: kind.kind, metadata: { name: 'it', namespace: 'shop', ...metadata }, ...(kind.body === 'object' ? Object(body) : { spec: body }) });
  assert.ok(raw.ok);
  const result = decode(raw.value);
  const lines = (list: readonly { path: string; message: string }[]): string[] => list.map(({ path, message }) => `${path}: ${message}`);
  return result.ok ? { errors: [], warnings: lines(result.value.warnings) } : { errors: lines(result.error), warnings: [] };
}

/** name, YAML */
export type Good = readonly [name: string, yaml: string];
/** name, YAML, the path that must be named, a part of the reason */
export type Bad = readonly [name: string, yaml: string, path: string, reason: RegExp];

/** One test per row: good ones pass without a word (but for fields nothing acts on), bad ones are refused at their path, those of `warns` pass with a warning there. */
export function table(kind: ConfigKind, rows: { readonly good: readonly Good[]; readonly bad: readonly Bad[]; readonly warns?: readonly Bad[] }): void {
  for (const [name, yaml] of rows.good) void test(`${kind.kind}: accepts ${name}`, () => assert.deepEqual(silent(kind, yaml), { errors: [], warnings: later(kind) }));
  for (const [name, yaml, path, reason] of rows.bad)
    void test(`${kind.kind}: refuses ${name}`, () => {
      const { errors } = verdict(kind, yaml);
      assert.ok(errors.some((error) => error.startsWith(`${path}: `) && reason.test(error)), `expected ${path}: ${reason}, got ${JSON.stringify(errors)}`);
    });
  for (const [name, yaml, path, reason] of rows.warns ?? [])
    void test(`${kind.kind}: warns of ${name}`, () => {
      const { errors, warnings } = verdict(kind, yaml);
      assert.deepEqual(errors, []);
      assert.ok(warnings.some((warning) => warning.startsWith(`${path}: `) && reason.test(warning)), JSON.stringify(warnings));
    });
}

// Which fields the mesh acts on is another question (support/), and its answer changes.
function silent(kind: ConfigKind, yaml: string): Verdict {
  const { errors, warnings } = verdict(kind, yaml);
  const support = new Findings();
  checkSupport(kind, parse(yaml), support);
  const said = support.warnings.map(({ path, message }) => `${path}: ${message}`);
  return { errors, warnings: warnings.filter((one) => !said.includes(one)) };
}

function later(kind: ConfigKind): string[] {
  return kind.acts === 'later' ? [`: ${kind.kind} is valid, but Meltemi does not act on it yet`] : [];
}

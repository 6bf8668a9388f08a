import type { SecretSpec } from './kind.ts';

/** One value of a Secret: its bytes, or why there are none. No text of it is ever part of a message. */
export type SecretBytes = { readonly ok: true; readonly bytes: Buffer } | { readonly ok: false; readonly problem: string };

/** Values stand beside the spec, not in it: whoever prints, compares, stores or sends a spec never has them in hand. */
const values = new WeakMap<SecretSpec, ReadonlyMap<string, SecretBytes>>();

/** What a decoded Secret holds, by the name of the key; for whoever serves it. A spec that is a copy has nothing. */
export function secretValues(spec: SecretSpec): ReadonlyMap<string, SecretBytes> {
  return values.get(spec) ?? new Map();
}

/** `data` is base64, `stringData` is text and wins, as Kubernetes writes it over the other. */
export function keepSecretValues(spec: SecretSpec, data: Readonly<Record<string, unknown>>, stringData: Readonly<Record<string, unknown>>): SecretSpec {
  const kept = new Map<string, SecretBytes>();
  for (const [name, value] of Object.entries(data)) kept.set(name, fromBase64(value));
  for (const [name, value] of Object.entries(stringData)) kept.set(name, typeof value === 'string' ? { ok: true, bytes: Buffer.from(value) } : { ok: false, problem: 'is not text' });
  values.set(spec, kept);
  return spec;
}

function fromBase64(value: unknown): SecretBytes {
  if (typeof value !== 'string') return { ok: false, problem: 'is not text' };
  const text = value.replace(/\s/g, '');
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return { ok: false, problem: 'is not base64; text goes below stringData' };
  return { ok: true, bytes: Buffer.from(text, 'base64') };
}

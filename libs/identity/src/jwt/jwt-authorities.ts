import { fail, ok, type Result } from '@meltemi/base';
import { KeySet } from './key-set.ts';

/** Of a trust domain's bundle. */
const maxChars = 65_536;
const maxKeys = 32;
const maxKeyIdChars = 256;
const members = ['kty', 'crv', 'x', 'y', 'n', 'e', 'kid'] as const;

/** The keys that verify JWT-SVIDs of a trust domain, read strictly: a JWK set in one spelling, each key with a `kid` of its own and none with a private part. */
export function parseJwtAuthorities(text: string): Result<string> {
  if (text.length > maxChars) return fail('', `JWT keys of ${text.length} characters; the limit is ${maxChars}`);
  let keys: unknown;
  try {
    keys = (JSON.parse(text) as { readonly keys?: unknown } | null)?.keys;
  } catch {
    return fail('', 'JWT keys are not JSON');
  }
  if (!Array.isArray(keys) || keys.length > maxKeys) return fail('keys', `must be a list of at most ${maxKeys}`);
  const read = keys.map((key: unknown) => jwtAuthority(key));
  const bad = read.findIndex((key) => key === undefined);
  if (bad >= 0) return fail(`keys[${bad}]`, 'is no key with a kid that verifies JWT-SVIDs');
  const good = read.flatMap((key) => key ?? []);
  if (new Set(good.map(({ kid }) => kid)).size !== good.length) return fail('keys', 'two keys have the same kid');
  return ok(formatJwtAuthorities(good));
}

/** A public key of a JWK set. */
export type JwtAuthority = Readonly<Partial<Record<(typeof members)[number], string>>>;

/** One key; undefined when it cannot verify JWT-SVIDs, or nobody could name it. */
export function jwtAuthority(value: unknown): JwtAuthority | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const given = value as Readonly<Record<string, unknown>>;
  const key: JwtAuthority = Object.fromEntries(members.flatMap((name) => (typeof given[name] === 'string' ? [[name, given[name]]] : [])));
  if (key.kid === undefined || key.kid === '' || key.kid.length > maxKeyIdChars) return undefined;
  if ((key.kty !== 'EC' && key.kty !== 'RSA') || 'd' in given) return undefined;
  return KeySet.parse(formatJwtAuthorities([key])).ok ? key : undefined;
}

/** As many of the keys as parseJwtAuthorities takes, formatted, and why each of the others is left out. */
export function fittingJwtAuthorities(keys: readonly JwtAuthority[]): { readonly text: string; readonly leftOut: readonly string[] } {
  const taken = new Map<string | undefined, JwtAuthority>();
  const leftOut: string[] = [];
  let chars = formatJwtAuthorities([]).length;
  for (const key of keys) {
    const more = JSON.stringify(key).length + 1;
    const reason = taken.has(key.kid) ? 'a key before has the same kid' : taken.size === maxKeys ? `a bundle has at most ${maxKeys} keys of JWT-SVIDs` : chars + more > maxChars ? `all keys of JWT-SVIDs together have at most ${maxChars} characters` : undefined;
    if (reason !== undefined) {
      leftOut.push(`${JSON.stringify(key.kid?.slice(0, 80))}: ${reason}`);
      continue;
    }
    taken.set(key.kid, key);
    chars += more;
  }
  return { text: formatJwtAuthorities([...taken.values()]), leftOut };
}

export function formatJwtAuthorities(keys: readonly JwtAuthority[]): string {
  return JSON.stringify({ keys });
}

/** What parseJwtAuthorities gave, taken apart. */
export function jwtAuthoritiesOf(text: string): readonly JwtAuthority[] {
  return (JSON.parse(text) as { readonly keys: readonly JwtAuthority[] }).keys;
}

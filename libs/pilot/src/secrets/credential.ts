import { createPrivateKey, X509Certificate } from 'node:crypto';
import { fail, ok, type FieldError, type Result } from '@meltemi/base';
import { secretValues, type SecretBytes, type SecretSpec } from '@meltemi/config';

/** A server's or client's certificate with its key, as PEM. */
export interface KeyPair {
  readonly chain: Buffer;
  readonly key: Buffer;
  /** DER. */
  readonly staple?: Buffer;
}

/** Whom to trust, and whom no longer, as PEM. */
export interface Authorities {
  readonly roots: Buffer;
  readonly crl?: Buffer;
}

/** What a Secret may hold, by names of its keys: Istio's own first, then those of kubernetes.io/tls. */
const pairNames = [['cert', 'key'], ['tls.crt', 'tls.key']] as const;
const rootNames = ['cacert', 'ca.crt'] as const;
const crlNames = ['crl', 'ca.crl'] as const;
const stapleName = 'tls.ocsp-staple';
const tlsType = 'kubernetes.io/tls';
const maxBytes = 1024 * 1024;

/** The certificate and key in a Secret; the error says by name of the key what is wrong, and never shows a value. */
export function keyPairOf(spec: SecretSpec): Result<KeyPair> {
  const values = secretValues(spec);
  const names = pairNames.find((pair) => pair.every((name) => holds(values, name)));
  if (!names) return fail('data', `has neither ${pairNames.map((pair) => pair.join(' and ')).join(' nor ')} with content; it has ${shownKeys(spec)}`);
  const [chain, key] = [bytesOf(values, names[0]), bytesOf(values, names[1])];
  if (!chain.ok) return chain;
  if (!key.ok) return key;
  const leaf = certificatesOf(chain.value, names[0]);
  if (!leaf.ok) return leaf;
  const fits = fitting(leaf.value, key.value, names);
  if (!fits.ok) return fits;
  const staple = holds(values, stapleName) ? bytesOf(values, stapleName) : undefined;
  if (staple && !staple.ok) return staple;
  return ok({ chain: chain.value, key: key.value, ...(staple ? { staple: staple.value } : {}) });
}

/** The roots in a Secret, with what they have revoked. */
export function authoritiesOf(spec: SecretSpec): Result<Authorities> {
  const values = secretValues(spec);
  const name = rootNames.find((each) => holds(values, each));
  if (name === undefined) return fail('data', `has neither ${rootNames.join(' nor ')} with content; it has ${shownKeys(spec)}`);
  const roots = bytesOf(values, name);
  if (!roots.ok) return roots;
  const read = certificatesOf(roots.value, name);
  if (!read.ok) return read;
  const crlName = crlNames.find((each) => holds(values, each));
  if (crlName === undefined) return ok({ roots: roots.value });
  const crl = bytesOf(values, crlName);
  if (!crl.ok) return crl;
  return blocksOf(crl.value, 'X509 CRL').length > 0 ? ok({ roots: roots.value, crl: crl.value }) : fail(keyPath(crlName), 'is no certificate revocation list in PEM');
}

/** The roots in a ConfigMap. Source: the Gateway API's key `ca.crt`. */
export function rootsOfText(data: Readonly<Record<string, string>>): Result<Authorities> {
  const name = ['ca.crt', 'cacert'].find((each) => (data[each] ?? '') !== '');
  if (name === undefined) return fail('data', 'has no ca.crt with content');
  const roots = Buffer.from(data[name] ?? '');
  const read = certificatesOf(roots, name);
  if (!read.ok) return read;
  const crl = data['ca.crl'];
  return ok({ roots, ...(crl === undefined || crl === '' ? {} : { crl: Buffer.from(crl) }) });
}

const known = new WeakMap<SecretSpec, readonly FieldError[]>();

/** Why a Secret that is there to be served cannot be: a key that does not fit, say. Secrets that hold other things have no problem. */
export function secretProblems(spec: SecretSpec): readonly FieldError[] {
  const before = known.get(spec);
  if (before) return before;
  const values = secretValues(spec);
  const errors: FieldError[] = [];
  const take = (result: Result<unknown>) => {
    if (!result.ok) errors.push(...result.error);
  };
  if (spec.type === tlsType || pairNames.some((pair) => pair.every((name) => spec.keys.includes(name)))) take(keyPairOf(spec));
  if (rootNames.some((name) => holds(values, name))) take(authoritiesOf(spec));
  known.set(spec, errors);
  return errors;
}

function holds(values: ReadonlyMap<string, SecretBytes>, name: string): boolean {
  const value = values.get(name);
  return value !== undefined && (!value.ok || value.bytes.length > 0);
}

function bytesOf(values: ReadonlyMap<string, SecretBytes>, name: string): Result<Buffer> {
  const value = values.get(name);
  if (!value?.ok) return fail(keyPath(name), value?.problem ?? 'is missing');
  return value.bytes.length > maxBytes ? fail(keyPath(name), `has ${value.bytes.length} bytes; the limit is ${maxBytes}`) : ok(value.bytes);
}

/** The first certificate of a PEM text, all of which can be read. */
function certificatesOf(pem: Buffer, name: string): Result<X509Certificate> {
  const blocks = blocksOf(pem, 'CERTIFICATE');
  for (const [index, block] of blocks.entries()) {
    try {
      const certificate = new X509Certificate(block);
      if (index === blocks.length - 1) return ok(index === 0 ? certificate : new X509Certificate(blocks[0] ?? ''));
    } catch {
      return fail(keyPath(name), `certificate ${index + 1} cannot be read`);
    }
  }
  return fail(keyPath(name), 'is no certificate in PEM');
}

function fitting(leaf: X509Certificate, key: Buffer, [chainName, keyName]: readonly [string, string]): Result<void> {
  try {
    if (leaf.checkPrivateKey(createPrivateKey(key))) return ok(undefined);
  } catch {
    return fail(keyPath(keyName), 'is no private key in PEM without a passphrase');
  }
  return fail(keyPath(keyName), `does not belong to the first certificate of ${chainName}`);
}

function blocksOf(pem: Buffer, label: string): string[] {
  return pem.toString('latin1').match(new RegExp(`-----BEGIN ${label}-----[^-]*-----END ${label}-----`, 'g')) ?? [];
}

/** As validation writes paths. */
function keyPath(name: string): string {
  return /^[\w-]+$/.test(name) ? `data.${name}` : `data["${name}"]`;
}

const maxShownKeys = 3;

function shownKeys({ keys }: SecretSpec): string {
  if (keys.length === 0) return 'nothing';
  return keys.length > maxShownKeys ? `${keys.slice(0, maxShownKeys).join(', ')} and ${keys.length - maxShownKeys} more` : keys.join(', ');
}

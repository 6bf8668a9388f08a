import { fail, ok, type Result } from '@meltemi/base';
import type { CertificateSigner } from './build-certificate.ts';
import type { Certificate } from './certificate.ts';
import { bitString, contents, context, contextParts, decodeDer, DerError, encodeDer, isContext, parts, readTime, sequence, tag, time, unsignedInteger, wholeBits, type DerNode } from './der.ts';
import { decodeExtensions, encodeExtension, oid } from './extensions.ts';
import { signatureAlgorithm, signWith, verifySigned } from './keys.ts';
import { formatPem, parsePem } from './pem.ts';

/** A certificate that must not be believed any more, though it has not ended. */
export interface RevokedCertificate {
  /** Lower-case hex without leading zeros. */
  readonly serial: string;
  /** Milliseconds since the epoch. */
  readonly revokedAt: number;
}

/** What to put into a list. */
export interface RevocationListTemplate {
  /** Greater than that of every list the same issuer signed before. */
  readonly number: number;
  /** Milliseconds since the epoch; cut to whole seconds. */
  readonly thisUpdate: number;
  /** By then there is another; who checks with OpenSSL takes nothing of the issuer's any more after it. */
  readonly nextUpdate: number;
  readonly revoked: readonly RevokedCertificate[];
}

/** A parsed X.509 v2 certificate revocation list (RFC 5280 §5); its signature is not verified. */
export interface RevocationList {
  readonly pem: string;
  readonly der: Buffer;
  /** Name of the issuer as DER. */
  readonly issuer: Buffer;
  readonly number: number;
  readonly thisUpdate: number;
  /** Infinity: there is none. */
  readonly nextUpdate: number;
  readonly serials: ReadonlySet<string>;
}

const label = 'X509 CRL';
/** Some 20,000 certificates. */
const maxListBytes = 1024 * 1024;
const maxLists = 16;
/** Reads what critical extensions it may have: none changes what the serials mean. */
const understood = new Set<string>([oid.authorityKeyId, oid.crlNumber]);

/** Signs a list. DER. */
export function buildRevocationList(template: RevocationListTemplate, { key, certificate }: Required<CertificateSigner>): Buffer {
  const body = sequence(
    unsignedInteger(Buffer.from([1])),
    signatureAlgorithm(key),
    decodeDer(certificate.subject, 4096),
    time(template.thisUpdate),
    time(template.nextUpdate),
    ...(template.revoked.length === 0 ? [] : [sequence(...template.revoked.map(({ serial, revokedAt }) => sequence(unsignedInteger(hexBytes(serial)), time(revokedAt))))]),
    context(0, [sequence(
      ...(certificate.subjectKeyId === undefined ? [] : [encodeExtension({ id: oid.authorityKeyId, critical: false, value: encodeDer(sequence(context(0, Buffer.from(certificate.subjectKeyId, 'hex')))) })]),
      encodeExtension({ id: oid.crlNumber, critical: false, value: encodeDer(unsignedInteger(hexBytes(template.number.toString(16)))) }),
    )]),
  );
  return encodeDer(sequence(body, signatureAlgorithm(key), bitString(signWith(encodeDer(body), key))));
}

export function revocationListPem(der: Uint8Array): string {
  return formatPem(label, der);
}

/** Reads every list of a PEM text; at most 16, of 1 MiB together. */
export function parseRevocationLists(pem: string): Result<RevocationList[]> {
  const blocks = parsePem(pem, label, { maxBytes: 2 * maxListBytes, maxBlocks: maxLists });
  if (!blocks.ok) return blocks;
  try {
    return ok(blocks.value.map((der) => readList(der, decodeDer(der, maxListBytes))));
  } catch (cause) {
    if (cause instanceof DerError) return fail('', `revocation list: ${cause.message}`);
    throw cause;
  }
}

/** Whether `issuer` signed the list and may. */
export function isListOf(list: RevocationList, issuer: Certificate): boolean {
  if (!list.issuer.equals(issuer.subject) || (issuer.keyUsage && !issuer.keyUsage.has('crlSign'))) return false;
  try {
    const [body, algorithm, signature] = parts(decodeDer(list.der, maxListBytes), tag.sequence, 'revocation list');
    return body !== undefined && verifySigned(encodeDer(body), algorithm, wholeBits(signature, 'signature'), issuer.publicKey);
  } catch (cause) {
    if (cause instanceof DerError) return false;
    throw cause;
  }
}

function readList(der: Buffer, node: DerNode): RevocationList {
  const [body] = parts(node, tag.sequence, 'revocation list');
  const fields = parts(body, tag.sequence, 'revocation list body');
  const [version, , issuer, thisUpdate, ...rest] = fields;
  if (!issuer || contents(version, tag.integer, 'version').toString('hex') !== '01') throw new DerError('not a version 2 list');
  const next = rest.find((field) => field.type === tag.utcTime || field.type === tag.generalizedTime);
  const entries = rest.find((field) => field.type === tag.sequence && !isContext(field, 0));
  const extensionsNode = rest.find((field) => isContext(field, 0));
  const extensions = extensionsNode ? decodeExtensions(contextParts(extensionsNode, 'extensions')[0]) : new Map<string, { critical: boolean; value: Buffer }>();
  for (const [id, { critical }] of extensions) if (critical && !understood.has(id)) throw new DerError(`critical extension ${id} is not understood`);
  const number = extensions.get(oid.crlNumber);
  return Object.freeze({
    pem: revocationListPem(der), der, issuer: encodeDer(issuer),
    number: number ? Number.parseInt(contents(decodeDer(number.value, 64), tag.integer, 'number').toString('hex'), 16) : 0,
    thisUpdate: readTime(thisUpdate, 'thisUpdate'), nextUpdate: next ? readTime(next, 'nextUpdate') : Number.POSITIVE_INFINITY,
    serials: new Set((entries ? parts(entries, tag.sequence, 'revoked certificates') : []).map((entry) => contents(parts(entry, tag.sequence, 'an entry')[0], tag.integer, 'a serial').toString('hex').replace(/^0+(?=.)/, ''))),
  });
}

function hexBytes(hex: string): Buffer {
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}

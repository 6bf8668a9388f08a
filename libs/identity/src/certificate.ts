import { X509Certificate, type KeyObject } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { contents, contextParts, decodeDer, DerError, type DerNode, encodeDer, isContext, parts, readObjectId, readTime, tag } from './der.ts';
import { decodeExtensions, oid, type Extension } from './extensions.ts';
import { acceptedKey, spkiOf } from './keys.ts';
import { decodeNameConstraints, type NameConstraints } from './name-constraints.ts';
import { decodeNames, noNames, type SubjectNames } from './names.ts';
import { formatPem, parsePem } from './pem.ts';

/** An immutable, parsed X.509 certificate: everything chain verification and the authority ask of one. */
export interface Certificate extends SubjectNames {
  readonly der: Buffer;
  readonly pem: string;
  /** OpenSSL's reading of the same bytes; both readers must accept a certificate. */
  readonly x509: X509Certificate;
  /** Lower-case hex without leading zeros. */
  readonly serial: string;
  /** Names as DER: compared byte by byte, as RFC 5280 §7.1 allows and openssl does after normalising. */
  readonly subject: Buffer;
  readonly issuer: Buffer;
  /** Milliseconds since the epoch, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly publicKey: KeyObject;
  readonly ca: boolean;
  /** How many intermediates may follow; undefined: any number. */
  readonly pathLength: number | undefined;
  /** Of an authority; undefined: it may name anything. */
  readonly nameConstraints: NameConstraints | undefined;
  readonly keyUsage: ReadonlySet<KeyUsage> | undefined;
  /** Object identifiers; undefined: any use. */
  readonly extendedKeyUsage: ReadonlySet<string> | undefined;
  /** Hex. */
  readonly subjectKeyId: string | undefined;
  /** Critical extensions nobody here understands; a chain with one is refused. */
  readonly unknownCritical: readonly string[];
}

/** Key usages by name, in bit order (RFC 5280 §4.2.1.3). */
export const keyUsages = ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment', 'keyAgreement', 'keyCertSign', 'crlSign'] as const;
export type KeyUsage = (typeof keyUsages)[number];

const label = 'CERTIFICATE';
/** RSA-4096 certificates with many names stay under 8 KB. */
const maxCertificateBytes = 16_384;
const understood = new Set<string>([oid.subjectKeyId, oid.keyUsage, oid.subjectAltName, oid.basicConstraints, oid.authorityKeyId, oid.extendedKeyUsage, oid.nameConstraints]);

/** Reads one certificate from DER; at most 16 KiB. A `key` that was read already is not read again if it is the certificate's. */
export function parseCertificate(der: Uint8Array, key?: KeyObject): Result<Certificate> {
  try {
    const bytes = Buffer.from(der);
    return ok(readCertificate(bytes, decodeDer(bytes, maxCertificateBytes), key));
  } catch (cause) {
    if (cause instanceof DerError) return fail('', `certificate: ${cause.message}`);
    throw cause;
  }
}

/** Reads every certificate of a PEM text, in order; at most 64 KiB and 16 of them. Error paths are `[index]`. */
export function parseCertificates(pem: string): Result<Certificate[]> {
  const blocks = parsePem(pem, label);
  if (!blocks.ok) return blocks;
  const certificates: Certificate[] = [];
  for (const [index, block] of blocks.value.entries()) {
    const parsed = parseCertificate(block);
    if (!parsed.ok) return fail(`[${index}]`, parsed.error[0]?.message ?? 'certificate');
    certificates.push(parsed.value);
  }
  return ok(certificates);
}

function readCertificate(der: Buffer, node: DerNode, key: KeyObject | undefined): Certificate {
  const [body] = parts(node, tag.sequence, 'certificate');
  const fields = parts(body, tag.sequence, 'certificate body');
  const [version, serial, , issuer, validity, subject, spki, ...optional] = fields;
  if (!isContext(version, 0) || !issuer || !subject || !spki) throw new DerError('not a version 3 certificate');
  const [notBefore, notAfter] = parts(validity, tag.sequence, 'validity');
  const extensionsNode = optional.find((field) => isContext(field, 3));
  const extensions = extensionsNode ? decodeExtensions(contextParts(extensionsNode, 'extensions')[0]) : new Map<string, Extension>();
  const x509 = openssl(der);
  return Object.freeze({
    der,
    pem: formatPem(label, der),
    x509,
    serial: contents(serial, tag.integer, 'serial').toString('hex').replace(/^0+(?=.)/, ''),
    subject: encodeDer(subject),
    issuer: encodeDer(issuer),
    notBefore: readTime(notBefore, 'notBefore'),
    notAfter: readTime(notAfter, 'notAfter'),
    publicKey: key && encodeDer(spki).equals(spkiOf(key)) ? key : acceptedKey(() => x509.publicKey),
    ...readExtensions(extensions),
  });
}

function openssl(der: Buffer): X509Certificate {
  try {
    return new X509Certificate(der);
  } catch {
    throw new DerError('openssl cannot read it');
  }
}

function readExtensions(extensions: ReadonlyMap<string, Extension>): SubjectNames & Pick<Certificate, 'ca' | 'pathLength' | 'nameConstraints' | 'keyUsage' | 'extendedKeyUsage' | 'subjectKeyId' | 'unknownCritical'> {
  const value = (id: string): Buffer | undefined => extensions.get(id)?.value;
  const names = value(oid.subjectAltName);
  const usage = value(oid.keyUsage);
  const extended = value(oid.extendedKeyUsage);
  const keyId = value(oid.subjectKeyId);
  const constraints = value(oid.nameConstraints);
  return {
    ...(names ? decodeNames(names) : noNames),
    ...readBasicConstraints(value(oid.basicConstraints)),
    nameConstraints: constraints && decodeNameConstraints(constraints),
    keyUsage: usage && readKeyUsage(usage),
    extendedKeyUsage: extended && new Set(parts(decodeDer(extended, 4096), tag.sequence, 'extended key usage').map((entry) => readObjectId(entry, 'extended key usage'))),
    subjectKeyId: keyId && contents(decodeDer(keyId, 256), tag.octetString, 'subject key id').toString('hex'),
    unknownCritical: [...extensions.values()].filter((extension) => extension.critical && !understood.has(extension.id)).map((extension) => extension.id),
  };
}

function readBasicConstraints(value: Buffer | undefined): { ca: boolean; pathLength: number | undefined } {
  if (value === undefined) return { ca: false, pathLength: undefined };
  const fields = parts(decodeDer(value, 64), tag.sequence, 'basic constraints');
  const ca = fields[0]?.type === tag.boolean && contents(fields[0], tag.boolean, 'basic constraints').equals(Buffer.from([0xff]));
  const length = fields.find((field) => field.type === tag.integer);
  if (!length) return { ca, pathLength: undefined };
  const bytes = contents(length, tag.integer, 'path length');
  if (bytes.length !== 1 || (bytes[0] ?? 0) > 127) throw new DerError('path length is not between 0 and 127');
  return { ca, pathLength: bytes[0] };
}

function readKeyUsage(value: Buffer): Set<KeyUsage> {
  const bits = contents(decodeDer(value, 64), tag.bitString, 'key usage').subarray(1);
  return new Set(keyUsages.filter((_, index) => ((bits[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0));
}

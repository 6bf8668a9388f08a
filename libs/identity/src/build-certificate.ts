import { hash, type KeyObject } from 'node:crypto';
import type { Certificate, KeyUsage } from './certificate.ts';
import { keyUsages } from './certificate.ts';
import { bitString, context, decodeDer, encodeDer, objectId, primitive, sequence, set, tag, time, unsignedInteger, boolean, type DerNode } from './der.ts';
import { encodeExtension, oid } from './extensions.ts';
import { keyBits, signatureAlgorithm, signWith, spkiOf } from './keys.ts';
import { encodePermittedUris } from './name-constraints.ts';
import { encodeNames, noNames, type SubjectNames } from './names.ts';

/** What to certify. */
export interface CertificateTemplate {
  /** 8 to 20 bytes from a good random source; the first bit is cleared (serials are positive, RFC 5280 §4.1.2.2). */
  readonly serial: Uint8Array;
  /** Organization and common name; leave out for workloads, whose only name is their URI. */
  readonly subject?: { readonly organization: string; readonly commonName: string };
  readonly publicKey: KeyObject;
  /** Milliseconds since the epoch; cut to whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
  readonly names?: Partial<SubjectNames>;
  /** An authority that may have `pathLength` authorities below it, and name only URIs of these hosts (default any), or an end entity that may serve and dial TLS. */
  readonly role: { readonly kind: 'authority'; readonly pathLength: number; readonly permittedUriHosts?: readonly string[] } | { readonly kind: 'workload' };
}

/** Who signs: a key and its certificate; without one the certificate is self-signed. */
export interface CertificateSigner {
  readonly key: KeyObject;
  readonly certificate?: Certificate;
}

/** Builds and signs an X.509 v3 certificate. DER. */
export function buildCertificate(template: CertificateTemplate, signer: CertificateSigner): Buffer {
  const spki = decodeDer(spkiOf(template.publicKey), 4096);
  const subject = encodeName(template.subject);
  const serial = Buffer.from(template.serial);
  serial[0] = (serial[0] ?? 0) & 0x7f;
  const body = sequence(
    context(0, [unsignedInteger(Buffer.from([2]))]),
    unsignedInteger(serial),
    signatureAlgorithm(signer.key),
    signer.certificate ? nameOf(signer.certificate) : subject,
    sequence(time(template.notBefore), time(template.notAfter)),
    subject,
    spki,
    context(3, [sequence(...extensionsOf(template, spki, signer.certificate))]),
  );
  return encodeDer(sequence(body, signatureAlgorithm(signer.key), bitString(signWith(encodeDer(body), signer.key))));
}

/** Of the CAs that sign: one is asked for every certificate. */
const namesOfSigners = new WeakMap<Certificate, DerNode>();

function nameOf(certificate: Certificate): DerNode {
  const name = namesOfSigners.get(certificate) ?? decodeDer(certificate.subject, 4096);
  namesOfSigners.set(certificate, name);
  return name;
}

/** What every workload's certificate has the same. */
const workloadUsage = encodeExtension({ id: oid.keyUsage, critical: true, value: encodeKeyUsage(['digitalSignature', 'keyEncipherment']) });
const workloadConstraints = encodeExtension({ id: oid.basicConstraints, critical: true, value: encodeDer(sequence()) });
const workloadExtendedUsage = encodeExtension({ id: oid.extendedKeyUsage, critical: false, value: encodeDer(sequence(objectId(oid.serverAuth), objectId(oid.clientAuth))) });

function extensionsOf({ role, subject, ...template }: CertificateTemplate, spki: DerNode, issuer: Certificate | undefined): DerNode[] {
  const ownKeyId = keyIdOf(spki);
  const names = { ...noNames, ...template.names };
  const keyIds = [
    encodeExtension({ id: oid.subjectKeyId, critical: false, value: encodeDer(primitive(tag.octetString, ownKeyId)) }),
    encodeExtension({ id: oid.authorityKeyId, critical: false, value: encodeDer(sequence(context(0, issuer?.subjectKeyId === undefined ? ownKeyId : Buffer.from(issuer.subjectKeyId, 'hex')))) }),
  ];
  const extensions = role.kind === 'workload' ? [workloadUsage, workloadConstraints, ...keyIds, workloadExtendedUsage] : [
    encodeExtension({ id: oid.keyUsage, critical: true, value: encodeKeyUsage(['keyCertSign', 'crlSign']) }),
    encodeExtension({ id: oid.basicConstraints, critical: true, value: encodeDer(sequence(boolean(true), unsignedInteger(Buffer.from([role.pathLength])))) }),
    ...keyIds,
    ...(role.permittedUriHosts ? [encodeExtension({ id: oid.nameConstraints, critical: true, value: encodePermittedUris(role.permittedUriHosts) })] : []),
  ];
  // RFC 5280 §4.1.2.6: with an empty subject the alternative names are all there is, so they are critical.
  if (names.uris.length + names.dnsNames.length + names.ips.length > 0) extensions.push(encodeExtension({ id: oid.subjectAltName, critical: subject === undefined, value: encodeNames(names) }));
  return extensions;
}

/** RFC 7093 §2 method 1: the leftmost 160 bits of SHA-256 over the key bits. */
function keyIdOf(spki: DerNode): Buffer {
  return hash('sha256', keyBits(spki), 'buffer').subarray(0, 20);
}

function encodeName(subject: CertificateTemplate['subject']): DerNode {
  if (!subject) return sequence();
  const attribute = (id: string, text: string): DerNode => set(sequence(objectId(id), primitive(tag.utf8, Buffer.from(text))));
  return sequence(attribute(oid.organization, subject.organization), attribute(oid.commonName, subject.commonName));
}

function encodeKeyUsage(usages: readonly KeyUsage[]): Buffer {
  let bits = 0;
  for (const usage of usages) bits |= 0x80 >> keyUsages.indexOf(usage);
  // DER: trailing zero bits of a named bit list are cut off, and counted.
  const unused = 31 - Math.clz32(bits & -bits);
  return encodeDer(bitString(Buffer.from([bits]), unused));
}

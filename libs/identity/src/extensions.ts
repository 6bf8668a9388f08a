import { boolean, contents, DerError, type DerNode, objectId, parts, primitive, readObjectId, sequence, tag } from './der.ts';

/** An X.509 v3 extension, its value still DER. */
export interface Extension {
  readonly id: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

/** Object identifiers of the extensions and usages written and read here (RFC 5280 §4.2). */
export const oid = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  crlNumber: '2.5.29.20',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  extensionRequest: '1.2.840.113549.1.9.14',
  commonName: '2.5.4.3',
  organization: '2.5.4.10',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  ecdsaWithSha384: '1.2.840.10045.4.3.3',
  sha256WithRsa: '1.2.840.113549.1.1.11',
  sha384WithRsa: '1.2.840.113549.1.1.12',
  sha512WithRsa: '1.2.840.113549.1.1.13',
} as const;

const maxExtensions = 32;

export function encodeExtension(extension: Extension): DerNode {
  return sequence(objectId(extension.id), ...(extension.critical ? [boolean(true)] : []), primitive(tag.octetString, extension.value));
}

/** Reads an Extensions sequence; a repeated extension is refused (RFC 5280 §4.2), or two readers would see two certificates. Throws DerError. */
export function decodeExtensions(node: DerNode | undefined): Map<string, Extension> {
  const list = parts(node, tag.sequence, 'extensions');
  if (list.length > maxExtensions) throw new DerError(`${list.length} extensions; the limit is ${maxExtensions}`);
  const found = new Map<string, Extension>();
  for (const entry of list) {
    const fields = parts(entry, tag.sequence, 'an extension');
    const id = readObjectId(fields[0], 'an extension id');
    const critical = fields.length === 3 && contents(fields[1], tag.boolean, 'critical').equals(Buffer.from([0xff]));
    if (fields.length < 2 || fields.length > 3 || found.has(id)) throw new DerError(`extension ${id} is malformed or repeated`);
    found.set(id, { id, critical, value: contents(fields.at(-1), tag.octetString, `extension ${id}`) });
  }
  return found;
}

import { createPublicKey, type KeyObject } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { bitString, context, decodeDer, DerError, type DerNode, encodeDer, isContext, contextParts, objectId, parts, readObjectId, sequence, set, tag, unsignedInteger, wholeBits } from './der.ts';
import { decodeExtensions, encodeExtension, oid } from './extensions.ts';
import { readPublicKey, signatureAlgorithm, signWith, spkiOf, verifySigned } from './keys.ts';
import { decodeNames, encodeNames, noNames, type SubjectNames } from './names.ts';
import { formatPem, parsePem } from './pem.ts';

/** What a certificate signing request asks, its signature already verified. */
export interface SigningRequest extends SubjectNames {
  readonly publicKey: KeyObject;
}

const label = 'CERTIFICATE REQUEST';
/** A 4096-bit RSA request with a long name is under 2 KB. */
const maxCsrBytes = 16_384;

/** A PKCS #10 request (RFC 2986) for `names`, signed with the key it is for. PEM. */
export function buildCsr(privateKey: KeyObject, names: Partial<SubjectNames>): string {
  const extensions = sequence(encodeExtension({ id: oid.subjectAltName, critical: true, value: encodeNames({ ...noNames, ...names }) }));
  const info = sequence(
    unsignedInteger(Buffer.from([0])),
    sequence(),
    decodeDer(spkiOf(createPublicKey(privateKey)), maxCsrBytes),
    context(0, [sequence(objectId(oid.extensionRequest), set(extensions))]),
  );
  return formatPem(label, encodeDer(sequence(info, signatureAlgorithm(privateKey), bitString(signWith(encodeDer(info), privateKey)))));
}

/** Reads a PEM request and verifies that whoever made it holds the key. The subject and extensions other than the names are ignored: the authority decides those. */
export function parseCsr(pem: string): Result<SigningRequest> {
  const blocks = parsePem(pem, label, { maxBytes: maxCsrBytes, maxBlocks: 1 });
  if (!blocks.ok) return blocks;
  try {
    return ok(readRequest(decodeDer(blocks.value[0] ?? Buffer.alloc(0), maxCsrBytes)));
  } catch (cause) {
    if (cause instanceof DerError) return fail('', `certificate request: ${cause.message}`);
    throw cause;
  }
}

function readRequest(node: DerNode): SigningRequest {
  const [info, algorithm, signature, ...rest] = parts(node, tag.sequence, 'request');
  const fields = parts(info, tag.sequence, 'request info');
  if (info === undefined || rest.length > 0 || fields.length < 3 || fields.length > 4) throw new DerError('the request has the wrong number of parts');
  const spki = fields[2];
  if (spki === undefined) throw new DerError('the public key is missing');
  const publicKey = readPublicKey(encodeDer(spki));
  if (!verifySigned(encodeDer(info), algorithm, wholeBits(signature, 'signature'), publicKey)) throw new DerError('the signature does not match the key in it');
  return { publicKey, ...requestedNames(fields[3]) };
}

function requestedNames(attributes: DerNode | undefined): SubjectNames {
  if (attributes === undefined) return noNames;
  if (!isContext(attributes, 0)) throw new DerError('attributes are of the wrong type');
  let names: SubjectNames | undefined;
  for (const attribute of contextParts(attributes, 'attributes')) {
    const [id, values] = parts(attribute, tag.sequence, 'an attribute');
    if (readObjectId(id, 'an attribute id') !== oid.extensionRequest) continue;
    if (names) throw new DerError('extensions are requested twice');
    const san = decodeExtensions(parts(values, tag.set, 'requested extensions')[0]).get(oid.subjectAltName);
    names = san ? decodeNames(san.value) : noNames;
  }
  return names ?? noNames;
}

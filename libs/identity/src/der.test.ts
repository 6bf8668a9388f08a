import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rootCertificates } from 'node:tls';
import fc from 'fast-check';
import { parseCertificate } from './certificate.ts';
import { contents, decodeDer, DerError, encodedOf, readObjectId, readTime, tag, type DerNode } from './der.ts';
import { bitString, boolean, context, nothing, objectId, primitive, sequence, set, time, unsignedInteger } from './encode-der.ts';
import { parsePem } from './pem.ts';

/** FUZZ_RUNS makes the same properties a long run. */
const runs = { numRuns: Number(process.env['FUZZ_RUNS'] ?? 500) };
const limit = 4 * 1024 * 1024;

/** What a value is made of, written by the writer from what the reader says. */
function rewrite({ tagClass, type, parts, source, body, end }: DerNode): Buffer {
  const inside = parts ? parts.map(rewrite) : [source.subarray(body, end)];
  const der = parts ? sequence(...inside) : primitive(tag.octetString, inside[0] ?? Buffer.alloc(0));
  der[0] = tagClass | (parts ? 0x20 : 0) | type;
  return der;
}

const refusal = (hex: string): string => {
  try {
    decodeDer(Buffer.from(hex, 'hex'), limit);
    return 'accepted';
  } catch (cause) {
    assert.ok(cause instanceof DerError, String(cause));
    return cause.message;
  }
};

test('one value has one spelling: what BER also allows is refused', () => {
  const refused: Readonly<Record<string, readonly string[]>> = {
    'cut off': ['', '30', '3001', '0401', '30820100', '3004020105', '048180', '30030401', '0485ffffffffff'],
    'more bytes follow': ['05000500', '3000ff', '02010500'],
    'shortest form|not in the shortest': ['048100', '04810161', `04820080${'61'.repeat(128)}`, `048300ffff${'61'.repeat(65_535)}`, '02020001', '0202007f', '0202ff80', '0200'],
    'no definite length': ['30800201050000', '04800000'],
    'made of parts': ['1000', '1100', '2400', '2403040161', '2203020105', '0000', '30020000'],
    'boolean is': ['0100', '010101', '01020000'],
    'NULL has': ['050100'],
    'bits that do not count': ['0300', '030101', '03020801', '03020101', '030207ff'],
    'tag number above 30': ['1f00', '3f0000', '9f8100', 'bf2000'],
    'nested more than': [Array.from({ length: 21 }).reduce<Buffer>((inside) => sequence(inside), sequence()).toString('hex')],
  };
  for (const [reason, values] of Object.entries(refused)) for (const hex of values) assert.match(refusal(hex), new RegExp(reason), hex.slice(0, 40));
  const accepted = ['0500', '3000', '3100', '0400', '0c00', '020100', '0201ff', '02020080', '0202ff7f', '0101ff', '010100', '030100', '03020780', '8000', 'a000', 'a0020500', '82020001', `048180${'00'.repeat(128)}`];
  for (const hex of accepted) assert.equal(refusal(hex), 'accepted', hex);
  assert.throws(() => decodeDer(sequence(), 1), /2 bytes, the limit is 1/);
});

test('object identifiers of any size are read, and none with zeros in front', () => {
  const read = (hex: string): string => readObjectId(decodeDer(primitive(tag.objectId, Buffer.from(hex, 'hex')), limit), 'it');
  assert.deepEqual(['00', '27', '28', '4f', '50', '78', '8837', '2a864886f70d01010b', '551d11', '2b06010401'].map(read), ['0.0', '0.39', '1.0', '1.39', '2.0', '2.40', '2.999', '1.2.840.113549.1.1.11', '2.5.29.17', '1.3.6.1.4.1']);
  assert.equal(read('69839ba6f7b8dca6aedcc8c78ae1abf6feaa7f'), `2.25.${read('69839ba6f7b8dca6aedcc8c78ae1abf6feaa7f').split('.')[2]}`);
  assert.match(read('69839ba6f7b8dca6aedcc8c78ae1abf6feaa7f'), /^2\.25\.\d{30,40}$/);
  for (const hex of ['', '80', '2a80', '2a8001', '8001', '2aff', '2a'.repeat(33)]) assert.throws(() => read(hex), DerError, hex);
  for (const dotted of ['1.2.840.10045.4.3.2', '2.5.29.17', '1.3.6.1.5.5.7.3.1', '0.9.2342.19200300.100.1.25', '2.16.840.1.113730.1.1', '1.3.2147483647']) assert.equal(readObjectId(decodeDer(objectId(dotted), limit), 'it'), dotted);
});

test('roots of the public web are read, and every byte of them is accounted for', () => {
  assert.ok(rootCertificates.length > 100);
  for (const pem of rootCertificates) {
    const [der] = (parsePem(pem, 'CERTIFICATE') as { value: Buffer[] }).value;
    assert.ok(der);
    assert.deepEqual(rewrite(decodeDer(der, limit)), der);
  }
});

test('what is written is read as it was meant', () => {
  const { values } = fc.letrec<{ values: { der: Buffer; plain: unknown } }>((tie) => ({
    values: fc.oneof({ depthSize: 'small', withCrossShrink: true },
      fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => ({ der: primitive(tag.octetString, bytes), plain: ['bytes', Buffer.from(bytes).toString('hex')] })),
      fc.bigInt({ min: 0n, max: 2n ** 160n }).map((number) => ({ der: unsignedInteger(Buffer.from(number.toString(16).padStart(42, '0'), 'hex')), plain: ['number', number] })),
      fc.boolean().map((value) => ({ der: boolean(value), plain: ['boolean', value] })),
      fc.constant({ der: nothing(), plain: ['nothing'] }),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => ({ der: bitString(bytes), plain: ['bits', Buffer.from(bytes).toString('hex')] })),
      fc.date({ min: new Date('1950-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true }).map((date) => ({ der: time(date.getTime()), plain: ['time', Math.floor(date.getTime() / 1000)] })),
      fc.array(tie('values'), { maxLength: 6 }).map((list) => ({ der: sequence(...list.map(({ der }) => der)), plain: ['sequence', list.map(({ plain }) => plain)] })),
      fc.array(tie('values'), { maxLength: 3 }).map((list) => ({ der: set(...list.map(({ der }) => der)), plain: ['set', list.map(({ plain }) => plain)] })),
      fc.tuple(fc.nat(30), fc.array(tie('values'), { maxLength: 3 })).map(([number, list]) => ({ der: context(number, list.map(({ der }) => der)), plain: ['context', number, list.map(({ plain }) => plain)] })),
      fc.tuple(fc.nat(30), fc.uint8Array({ maxLength: 9 })).map(([number, bytes]) => ({ der: context(number, bytes), plain: ['context', number, Buffer.from(bytes).toString('hex')] })),
    ),
  }));
  fc.assert(fc.property(values, ({ der, plain }) => {
    const node = decodeDer(der, limit);
    assert.deepEqual(plainOf(node), plain);
    assert.deepEqual(encodedOf(node), der);
  }), runs);
});

function plainOf(node: DerNode): unknown {
  const { tagClass, type, parts, source, body, end } = node;
  if (tagClass === 0x80) return ['context', type, parts ? parts.map(plainOf) : source.toString('hex', body, end)];
  if (parts) return [type === tag.set ? 'set' : 'sequence', parts.map(plainOf)];
  if (type === tag.integer) return ['number', BigInt(`0x${contents(node, tag.integer, 'it').toString('hex')}`)];
  if (type === tag.boolean) return ['boolean', contents(node, tag.boolean, 'it')[0] === 0xff];
  if (type === tag.nothing) return ['nothing'];
  if (type === tag.bitString) return ['bits', contents(node, tag.bitString, 'it').toString('hex').slice(2)];
  if (type === tag.utcTime || type === tag.generalizedTime) return ['time', readTime(node, 'it') / 1000];
  return ['bytes', contents(node, tag.octetString, 'it').toString('hex')];
}

test('whatever bytes come, they are refused by name or written back the same', () => {
  const roots = rootCertificates.slice(0, 20).map((pem) => (parsePem(pem, 'CERTIFICATE') as { value: Buffer[] }).value[0] ?? Buffer.alloc(0));
  const telling = fc.oneof(fc.constantFrom(0, 1, 2, 3, 0x1f, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0xa0, 0xff), fc.nat(255));
  const mutated = fc.tuple(fc.constantFrom(...roots), fc.array(fc.tuple(fc.nat(), telling), { minLength: 1, maxLength: 3 }), fc.option(fc.nat())).map(([root, changes, cut]) => {
    const der = Buffer.from(root);
    for (const [at, byte] of changes) der[at % der.length] = byte;
    return cut === null ? der : der.subarray(0, cut % der.length);
  });
  fc.assert(fc.property(fc.oneof(mutated, fc.array(telling, { maxLength: 60 }).map((bytes) => Buffer.from(bytes))), (der) => {
    let node: DerNode;
    try {
      node = decodeDer(der, limit);
    } catch (cause) {
      assert.ok(cause instanceof DerError, String(cause));
      return;
    }
    assert.deepEqual(rewrite(node), der);
    const certificate = parseCertificate(der);
    if (certificate.ok) assert.deepEqual(certificate.value.x509.raw, der);
  }), runs);
});

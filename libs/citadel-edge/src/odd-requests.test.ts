import assert from 'node:assert/strict';
import { randomBytes, sign, X509Certificate, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ChannelCredentials, Metadata, status } from '@grpc/grpc-js';
import { IstioCertificateServiceClient } from '@meltemi/api/gen/istio/security/v1alpha1/ca.ts';
import { buildCertificate, buildCsr, formatPem, generateP256, parseCertificate, type Certificate, type CertificateTemplate } from '@meltemi/identity';
import { CitadelFixture } from './testing/citadel-fixture.ts';

// Requests and callers that no honest client sends, at a real citadel whose authority's keys the test has. What is wrong in other ways is in libs/harness/src/attacks.

const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
const dir = mkdtempSync(join(tmpdir(), 'odd-'));
const keys = generateP256();
const minuteMs = 60_000;

interface Signer {
  readonly key: KeyObject;
  readonly certificate: Certificate;
}

const root = authority('root', 14);
const issuing = authority('issuing', 12, root);
let citadel: CitadelFixture;

before(async () => {
  const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
  const files = { 'ca-cert.pem': issuing.certificate.pem, 'ca-key.pem': pem(issuing.key), 'root-cert.pem': root.certificate.pem, 'cert-chain.pem': issuing.certificate.pem };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text, { mode: 0o600 });
  citadel = await new CitadelFixture(dir).start();
});
after(async () => {
  await citadel.remove();
  rmSync(dir, { recursive: true, force: true });
});

function authority(commonName: string, pathLength: number, by?: Signer): Signer {
  const { publicKey, privateKey } = generateP256();
  const der = buildCertificate({ serial: randomBytes(16), subject: { organization: 'cluster.local', commonName }, publicKey, notBefore: Date.now() - 10 * minuteMs, notAfter: Date.now() + 600 * minuteMs, role: { kind: 'authority', pathLength } }, { key: by?.key ?? privateKey, ...(by && { certificate: by.certificate }) });
  return { key: privateKey, certificate: parsed(der) };
}

function parsed(der: Buffer): Certificate {
  const certificate = parseCertificate(der);
  assert.ok(certificate.ok, JSON.stringify(certificate));
  return certificate.value;
}

/** A workload's certificate by `by`, with what lies between it and the root. */
function leaf(changes: Partial<CertificateTemplate> = {}, by: readonly [Signer, ...Signer[]] = [issuing]): string[] {
  const der = buildCertificate({ serial: randomBytes(16), publicKey: keys.publicKey, notBefore: Date.now() - 5 * minuteMs, notAfter: Date.now() + 5 * minuteMs, names: { uris: [reviews] }, role: { kind: 'workload' }, ...changes }, by[0]);
  return [parsed(der), ...by.map(({ certificate }) => certificate)].map(({ pem }) => pem);
}

/** The status, and the reason or the certificates. */
async function ask(csr: string, by: { readonly token?: string; readonly chain?: readonly string[] }): Promise<{ readonly code: status; readonly details: string; readonly chain: readonly string[] }> {
  const own = by.chain && { key: Buffer.from(keys.privateKey.export({ type: 'pkcs8', format: 'pem' })), chain: Buffer.from(by.chain.join('')) };
  const credentials = ChannelCredentials.createSsl(Buffer.from(root.certificate.pem), own?.key ?? null, own?.chain ?? null, { checkServerIdentity: () => undefined });
  const client = new IstioCertificateServiceClient(citadel.address, credentials, { 'grpc.ssl_target_name_override': 'mesh', 'grpc.default_authority': 'mesh', 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0 });
  const metadata = new Metadata();
  if (by.token !== undefined) metadata.set('authorization', `Bearer ${by.token}`);
  try {
    return await new Promise((resolve) => {
      client.createCertificate({ csr, validityDuration: 0n, metadata: undefined }, metadata, { deadline: Date.now() + 10_000 }, (error, response) => resolve(error ? { code: error.code, details: error.details, chain: [] } : { code: status.OK, details: '', chain: response.certChain }));
    });
  } finally {
    client.close();
  }
}

// DER by hand: the odd is what the encoder of the mesh would not write.

function lengthOf(size: number): Buffer {
  if (size < 0x80) return Buffer.from([size]);
  return size < 0x100 ? Buffer.from([0x81, size]) : Buffer.from([0x82, size >> 8, size & 0xff]);
}

function tlv(tag: number, ...contents: readonly Buffer[]): Buffer {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
}

/** The same value with a length of one byte more than it takes. */
function longLength(value: Buffer): Buffer {
  const [first = 0] = value.subarray(1);
  const length = first < 0x80 ? Buffer.from([0x81, first]) : Buffer.concat([Buffer.from([first + 1, 0]), value.subarray(2, 2 + (first & 0x7f))]);
  return Buffer.concat([value.subarray(0, 1), length, value.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f))]);
}

const sequence = (...contents: readonly Buffer[]): Buffer => tlv(0x30, ...contents);
const oid = (hex: string): Buffer => tlv(0x06, Buffer.from(hex, 'hex'));
const [san, keyUsage, extendedKeyUsage, basicConstraints, nameConstraints, unknown] = ['551d11', '551d0f', '551d25', '551d13', '551d1e', '2b06010401bf0801'];
const extension = (id: string, value: Buffer, critical = true): Buffer => sequence(oid(id), ...(critical ? [Buffer.from([1, 1, 0xff])] : []), tlv(0x04, value));
const uri = (text: string): Buffer => tlv(0x86, Buffer.from(text, 'latin1'));
const names = (...all: readonly Buffer[]): Buffer => extension(san, sequence(...all));
const extensionRequest = (...extensions: readonly Buffer[]): Buffer => sequence(oid('2a864886f70d01090e'), tlv(0x31, sequence(...extensions)));

interface Oddities {
  readonly subject?: Buffer;
  readonly attributes?: readonly Buffer[];
  /** Of what is signed, and of the whole. */
  readonly info?: (der: Buffer) => Buffer;
  readonly whole?: (der: Buffer) => Buffer;
}

/** A request with a good signature over whatever it says. */
function request({ subject = sequence(), attributes = [], info: spoilInfo = (der) => der, whole: spoil = (der) => der }: Oddities): string {
  const info = spoilInfo(sequence(Buffer.from([2, 1, 0]), subject, keys.publicKey.export({ type: 'spki', format: 'der' }), tlv(0xa0, ...attributes)));
  const signature = sign('sha256', info, keys.privateKey);
  return formatPem('CERTIFICATE REQUEST', spoil(sequence(info, sequence(oid('2a8648ce3d040302')), tlv(0x03, Buffer.from([0]), signature))));
}

const asked = (...extensions: readonly Buffer[]): string => request({ attributes: [extensionRequest(...extensions)] });
const honest = asked(names(uri(reviews)));
let nested: Buffer = Buffer.from([5, 0]);
for (let depth = 0; depth < 60; depth += 1) nested = sequence(nested);

const oddRequests: readonly (readonly [name: string, csr: string, code: status, reason: RegExp])[] = [
  ['of more than 16 KiB', request({ subject: sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.alloc(20_000, 97))))) }), status.INVALID_ARGUMENT, /the limit is 16384/],
  ['of more than a message may have', 'x'.repeat(70_000), status.RESOURCE_EXHAUSTED, /larger than max/],
  ['with 65 names', asked(names(...Array.from({ length: 65 }, () => uri(reviews)))), status.INVALID_ARGUMENT, /the limit is 64/],
  ['with 64 names, its own among them', asked(names(uri(reviews), ...Array.from({ length: 63 }, (_, index) => tlv(0x82, Buffer.from(`s${index}.default.svc`))))), status.PERMISSION_DENIED, /may not have: s0\.default\.svc/],
  ['with its own name twice', asked(names(uri(reviews), uri(reviews))), status.PERMISSION_DENIED, /asks for/],
  ['with a name of 3,000 bytes', asked(names(uri(`${reviews}${'x'.repeat(3000)}`))), status.INVALID_ARGUMENT, /more than 2048 bytes/],
  ['with a NUL in its name', asked(names(uri(`${reviews}\0.evil`))), status.INVALID_ARGUMENT, /not printable/],
  ['with a mail address', asked(names(uri(reviews), tlv(0x81, Buffer.from('a@b')))), status.INVALID_ARGUMENT, /neither URI/],
  ['with a directory name', asked(names(uri(reviews), tlv(0xa4, sequence()))), status.INVALID_ARGUMENT, /neither URI/],
  ['with two lists of names', asked(names(uri(reviews)), names(uri(`${reviews}-admin`))), status.INVALID_ARGUMENT, /malformed or repeated/],
  ['that asks for extensions twice', request({ attributes: [extensionRequest(names(uri(reviews))), extensionRequest(names(uri(`${reviews}-admin`)))] }), status.INVALID_ARGUMENT, /requested twice/],
  ['with 33 extensions', asked(names(uri(reviews)), ...Array.from({ length: 32 }, (_, index) => extension(`${unknown}${(index + 1).toString(16).padStart(2, '0')}`, Buffer.from([5, 0])))), status.INVALID_ARGUMENT, /the limit is 32/],
  ['with an attribute 60 deep', request({ attributes: [sequence(oid(unknown), tlv(0x31, nested)), extensionRequest(names(uri(reviews)))] }), status.INVALID_ARGUMENT, /not DER/],
  ['whose signed part has a length longer than needed', request({ attributes: [extensionRequest(names(uri(reviews)))], info: longLength }), status.INVALID_ARGUMENT, /DER/],
  ['that has a length longer than needed', request({ attributes: [extensionRequest(names(uri(reviews)))], whole: longLength }), status.INVALID_ARGUMENT, /DER/],
  ['of indefinite length', request({ whole: (der) => Buffer.concat([Buffer.from([0x30, 0x80]), der.subarray(2 + ((der[1] ?? 0) & 0x7f)), Buffer.from([0, 0])]) }), status.INVALID_ARGUMENT, /DER/],
  ['with something after it', request({ whole: (der) => Buffer.concat([der, Buffer.from([5, 0])]) }), status.INVALID_ARGUMENT, /DER/],
  ['with names whose length is longer than needed', asked(extension(san, longLength(sequence(uri(reviews))))), status.INVALID_ARGUMENT, /DER/],
];

test('odd requests are refused with the reason, and none spends the token', async () => {
  const token = await citadel.mint(reviews);
  for (const [name, csr, code, reason] of oddRequests) {
    const outcome = await ask(csr, { token });
    assert.equal(outcome.code, code, `${name}: ${status[outcome.code]} ${outcome.details}`);
    assert.match(outcome.details, reason, name);
  }
  assert.equal((await ask(honest, { token })).code, status.OK);
});

test('usages, constraints, a subject and extensions that nobody knows are not in the certificate, whatever the request says', async () => {
  const subject = sequence(tlv(0x31, sequence(oid('550403'), tlv(0x0c, Buffer.from('cluster-admin')))));
  const extensions = [
    names(uri(reviews)), extension(keyUsage, Buffer.from([3, 2, 1, 0xff])), extension(extendedKeyUsage, sequence(oid('2b06010505070303'), oid('551d2500'))), extension(basicConstraints, sequence(Buffer.from([1, 1, 0xff]))),
    extension(nameConstraints, sequence()), extension(unknown, Buffer.from('hidden')), extension('550000', Buffer.from([0xff, 0xff, 0xff])),
  ];
  const usual = await ask(honest, { token: await citadel.mint(reviews) });
  const { code, details, chain } = await ask(request({ subject, attributes: [sequence(oid(unknown), tlv(0x31, Buffer.from([5, 0]))), extensionRequest(...extensions)] }), { token: await citadel.mint(reviews) });
  assert.equal(code, status.OK, details);
  const [plain, odd] = [new X509Certificate(usual.chain[0] ?? ''), new X509Certificate(chain[0] ?? '')];
  const said = (certificate: X509Certificate) => ({ ca: certificate.ca, subject: certificate.subject, names: certificate.subjectAltName, extended: certificate.keyUsage, usages: [...(parsed(certificate.raw).keyUsage ?? [])] });
  assert.deepEqual(said(odd), said(plain));
  for (const hidden of ['hidden', 'cluster-admin']) assert.equal(odd.raw.includes(hidden), false, hidden);
  assert.equal(odd.raw.includes(Buffer.from(unknown, 'hex')), false);
});

const callers: readonly (readonly [name: string, chain: () => readonly string[], reason: RegExp])[] = [
  ['has two identities', () => leaf({ names: { uris: [reviews, 'spiffe://cluster.local/ns/istio-system/sa/meltemi-pilot'] } }), /has 2 URI names/],
  ['ended a second ago', () => leaf({ notAfter: Date.now() - 1000 }), /no proof of identity/],
  ['stands below ten authorities of which citadel knows none', () => {
    const between: [Signer, ...Signer[]] = [issuing];
    for (let depth = 0; depth < 10; depth += 1) between.unshift(authority(`a${depth}`, 11 - depth, between[0]));
    return leaf({}, between);
  }, /no path to a root/],
];

for (const [name, chain, reason] of callers) {
  test(`a caller whose certificate ${name} is nobody`, async () => {
    const outcome = await ask(buildCsr(keys.privateKey, {}), { chain: chain() });
    assert.equal(outcome.code, status.UNAUTHENTICATED, outcome.details);
    assert.match(outcome.details, reason);
  });
}

test("a certificate renews until its end by citadel's clock, and not a second longer", async () => {
  const notAfter = Math.floor(Date.now() / 1000) * 1000 + 10 * minuteMs;
  const chain = leaf({ notAfter });
  try {
    citadel.skewMs = notAfter - minuteMs - Date.now();
    assert.equal((await ask(buildCsr(keys.privateKey, {}), { chain })).code, status.OK);
    citadel.skewMs = notAfter + 1000 - Date.now();
    const late = await ask(buildCsr(keys.privateKey, {}), { chain });
    assert.equal(late.code, status.UNAUTHENTICATED);
    assert.match(late.details, /expired/);
  } finally {
    citadel.skewMs = 0;
  }
});

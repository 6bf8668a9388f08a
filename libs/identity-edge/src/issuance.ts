import { createPrivateKey, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { Metadata, status, type ChannelCredentials, type ClientOptions, type ServiceError } from '@grpc/grpc-js';
import { IstioCertificateServiceClient, type IstioCertificateResponse } from '@meltemi/api/gen/istio/security/v1alpha1/ca.ts';
import { TrustBundleClient, type GetTrustBundleResponse } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { err, formatFieldErrors, ok, fail, type Result } from '@meltemi/base';
import { buildCsr, controlPlaneId, createTrustBundle, fingerprintOf, formatSpiffeId, generateKeys, isJoinToken, parseCertificates, parseJoinToken, verifyChain, withFederated, withJwtKeys, withRevocations } from '@meltemi/identity';
import type { Certificate, FederatedRoots, KeyAlgorithm, SpiffeId, TrustBundle, WorkloadCertificate } from '@meltemi/identity';
import { VerifiedTlsCredentials } from './verified-tls.ts';

/**
 * How the caller proves itself to citadel: a token, or the certificate it has. A join token names the root that citadel must lead to; with any other
 * (of a service account, of an OpenID issuer) `rootsPem` says it: without roots nothing is sent.
 */
export type IdentityProof = { readonly kind: 'token'; readonly token: string; readonly rootsPem?: string } | { readonly kind: 'certificate'; readonly certificate: WorkloadCertificate };

export interface IssuanceRequest {
  readonly citadelAddress: string;
  readonly id: SpiffeId;
  readonly proof: IdentityProof;
  /** 0: citadel's default. */
  readonly validityMs: number;
  /** Of the key that is made for it. */
  readonly keyAlgorithm: KeyAlgorithm;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** Under which name the caller will follow the trust bundle: name, space, run. Unset: it will not. */
  readonly follower?: string;
}

/** Why no certificate came back. `refused`: citadel does not accept the proof, so asking again with the same one is useless. */
export interface IssuanceFailure {
  readonly refused: boolean;
  readonly message: string;
}

const callDeadlineMs = 10_000;
/** A certificate, the roots of every federated trust domain, and what is revoked. */
const maxMessageBytes = 1024 * 1024;
/**
 * For channels inside the mesh: never through an HTTP proxy (a sidecar's applications have http_proxy set, its agent must not follow),
 * and dead connections are noticed within half a minute.
 */
export const meshChannelOptions = {
  'grpc.enable_http_proxy': 0,
  'grpc.keepalive_time_ms': 20_000,
  'grpc.keepalive_timeout_ms': 10_000,
} as const satisfies ClientOptions;

/** One round with citadel: a new key, a request, the certificate for it, the current roots; everything that came back is checked. */
export async function requestCertificate(request: IssuanceRequest): Promise<Result<WorkloadCertificate, IssuanceFailure>> {
  const credentials = citadelCredentials(request);
  if (!credentials.ok) return err({ refused: true, message: formatFieldErrors(credentials.error) });
  try {
    const keys = await generateKeys(request.keyAlgorithm);
    const answer = await callCitadel(request, credentials.value, buildCsr(keys.privateKey, { uris: [formatSpiffeId(request.id)] }));
    const certificate = checkAnswer(request, answer, keys);
    return certificate.ok ? certificate : err({ refused: false, message: `citadel's answer is refused: ${formatFieldErrors(certificate.error)}` });
  } catch (cause) {
    return err(failureOf(cause, request.citadelAddress));
  }
}

/** The mesh's roots, PEM, from citadel at an address, believed because a join token names one of them. The token is not spent. */
export async function rootsOf(citadelAddress: string, joinToken: string): Promise<Result<string>> {
  const token = parseJoinToken(joinToken);
  if (!token.ok) return token;
  const credentials = citadelCredentials({ proof: { kind: 'token', token: joinToken }, id: token.value.id, now: Date.now() });
  if (!credentials.ok) return credentials;
  const bundles = new TrustBundleClient(citadelAddress, credentials.value, { ...meshChannelOptions, 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': maxMessageBytes });
  try {
    const { rootsPem } = await unary<GetTrustBundleResponse>((done) => bundles.get({}, new Metadata(), { deadline: Date.now() + callDeadlineMs }, done));
    return ok(rootsPem.map((pem) => `${pem.trim()}\n`).join(''));
  } catch (cause) {
    return fail('', failureOf(cause, citadelAddress).message);
  } finally {
    bundles.close();
  }
}

function citadelCredentials({ proof, id, now }: Pick<IssuanceRequest, 'proof' | 'id' | 'now'>): Result<ChannelCredentials> {
  if (proof.kind === 'certificate') {
    const { certificate } = proof;
    const secureContext = createSecureContext({ ca: certificate.trust.pem, cert: certificate.certChainPem, key: certificate.privateKeyPem });
    return ok(new VerifiedTlsCredentials({ ready: async () => undefined, context: () => ({ secureContext }), verify: (chain) => isCitadel(chain, certificate.trust, now) }));
  }
  if (!isJoinToken(proof.token)) return credentialsByRoots(proof.rootsPem, id, now);
  const token = parseJoinToken(proof.token);
  if (!token.ok) return token;
  if (formatSpiffeId(token.value.id) !== formatSpiffeId(id)) return fail('', `the join token is for ${formatSpiffeId(token.value.id)}, not for ${formatSpiffeId(id)}`);
  const { rootFingerprint } = token.value;
  // OpenSSL has nothing to check the chain against yet; `verify` does it against the root that the token names.
  return ok(new VerifiedTlsCredentials({ ready: async () => undefined, context: () => ({ rejectUnauthorized: false }), verify: (chain) => isPinnedCitadel(chain, id.trustDomain, rootFingerprint, now) }));
}

function credentialsByRoots(rootsPem: string | undefined, { trustDomain }: SpiffeId, now: number): Result<ChannelCredentials> {
  if (rootsPem === undefined) return fail('', 'the token is no join token, which would name the root of the mesh: give the file of the root certificate, too, or it could be sent to anybody');
  const trust = createTrustBundle(trustDomain, [rootsPem]);
  if (!trust.ok) return fail('', `the file of the root certificate: ${formatFieldErrors(trust.error)}`);
  const secureContext = createSecureContext({ ca: trust.value.pem });
  return ok(new VerifiedTlsCredentials({ ready: async () => undefined, context: () => ({ secureContext }), verify: (chain) => isCitadel(chain, trust.value, now) }));
}

function isPinnedCitadel(chain: readonly Certificate[], trustDomain: string, rootFingerprint: string, now: number): Result<unknown> {
  const root = chain.find((certificate) => fingerprintOf(certificate) === rootFingerprint);
  if (!root) return fail('', `it does not lead to the root that the join token names (SHA-256 ${rootFingerprint}): its root has been retired since (mint a new token), wrong address, another mesh, or a citadel that lost its keys`);
  const bundle = createTrustBundle(trustDomain, [root.pem]);
  return bundle.ok ? isCitadel(chain, bundle.value, now) : bundle;
}

/** Whether it is citadel that presented the chain. */
export function isCitadel(chain: readonly Certificate[], bundle: TrustBundle, now: number): Result<unknown> {
  const peer = verifyChain(chain, bundle, { now, use: 'server' });
  if (!peer.ok) return peer;
  const expected = formatSpiffeId(controlPlaneId(bundle.trustDomain, 'citadel'));
  return formatSpiffeId(peer.value.id) === expected ? peer : fail('', `it belongs to ${formatSpiffeId(peer.value.id)}, not to ${expected}`);
}

interface Answer {
  readonly certChain: readonly string[];
  readonly bundle: GetTrustBundleResponse;
}

async function callCitadel(request: IssuanceRequest, credentials: ChannelCredentials, csr: string): Promise<Answer> {
  const options = { ...meshChannelOptions, 'grpc.enable_retries': 0, 'grpc.use_local_subchannel_pool': 1, 'grpc.max_receive_message_length': maxMessageBytes } as const;
  const issuer = new IstioCertificateServiceClient(request.citadelAddress, credentials, options);
  const bundles = new TrustBundleClient(request.citadelAddress, credentials, { ...options, channelOverride: issuer.getChannel() });
  const metadata = new Metadata();
  if (request.proof.kind === 'token') metadata.set('authorization', `Bearer ${request.proof.token.trim()}`);
  if (request.follower !== undefined) metadata.set('meltemi-follower', request.follower);
  const deadline = { deadline: Date.now() + callDeadlineMs };
  try {
    // The roots first: they cost nothing, and a token is spent only when all else has worked.
    const bundle = await unary<GetTrustBundleResponse>((done) => bundles.get({}, new Metadata(), deadline, done));
    const validityDuration = BigInt(Math.ceil(request.validityMs / 1000));
    const { certChain } = await unary<IstioCertificateResponse>((done) => issuer.createCertificate({ csr, validityDuration, metadata: undefined }, metadata, deadline, done));
    return { certChain, bundle };
  } finally {
    issuer.close();
  }
}

function unary<Res>(call: (done: (error: ServiceError | null, response: Res) => void) => unknown): Promise<Res> {
  return new Promise((resolve, reject) => {
    call((error, response) => (error ? reject(error) : resolve(response)));
  });
}

function checkAnswer(request: IssuanceRequest, answer: Answer, keys: { readonly privateKey: KeyObject; readonly publicKey: KeyObject }): Result<WorkloadCertificate> {
  const trust = trustOf(request.id.trustDomain, answer.bundle);
  if (!trust.ok) return trust;
  const chain = parseCertificates(answer.certChain.join('\n'));
  if (!chain.ok) return chain;
  return workloadCertificate({ chain: chain.value, privateKey: keys.privateKey, id: request.id, trust: trust.value, now: request.now });
}

/** A trust bundle as citadel sends it. */
export interface SentBundle {
  readonly rootsPem: readonly string[];
  readonly federated: readonly FederatedRoots[];
  /** "": nothing is revoked. */
  readonly revocationListsPem: string;
  /** Of JWT-SVIDs; "": there are none. */
  readonly jwtKeys: string;
}

/** The roots that citadel gave, with those of federated trust domains, and what is revoked. */
export function trustOf(trustDomain: string, { rootsPem, federated, revocationListsPem, jwtKeys }: SentBundle): Result<TrustBundle> {
  const own = createTrustBundle(trustDomain, rootsPem);
  if (!own.ok) return own;
  const keyed = withJwtKeys(own.value, jwtKeys);
  const all = keyed.ok ? withFederated(keyed.value, federated) : keyed;
  return all.ok ? withRevocations(all.value, revocationListsPem) : all;
}

export interface CertificateParts {
  readonly chain: readonly Certificate[];
  readonly privateKey: KeyObject;
  readonly id: SpiffeId;
  readonly trust: TrustBundle;
  readonly now: number;
}

/** Makes the immutable value of a chain and its key, after checking that they belong together and to `id`. The root, if in the chain, is left out of it. */
export function workloadCertificate(of: CertificateParts): Result<WorkloadCertificate> {
  const peer = verifyChain(of.chain, of.trust, { now: of.now, use: 'any' });
  if (!peer.ok) return peer;
  const { leaf, path } = peer.value;
  const spiffeId = formatSpiffeId(peer.value.id);
  if (spiffeId !== formatSpiffeId(of.id)) return fail('', `the certificate is for ${spiffeId}, not for ${formatSpiffeId(of.id)}`);
  const privateKeyPem = of.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  if (!leaf.x509.checkPrivateKey(createPrivateKey(privateKeyPem))) return fail('', 'the certificate is for another key');
  const certChainPem = path.slice(0, -1).map((certificate) => certificate.pem).join('');
  return ok(Object.freeze({ certChainPem, privateKeyPem, spiffeId, serial: leaf.serial, notBefore: leaf.notBefore, notAfter: leaf.notAfter, trust: of.trust }));
}

function failureOf(cause: unknown, address: string): IssuanceFailure {
  const error = cause as Partial<ServiceError>;
  const refused = error.code === status.UNAUTHENTICATED || error.code === status.PERMISSION_DENIED || error.code === status.INVALID_ARGUMENT;
  // grpc-js ends its text with a note that is often empty
  return { refused, message: `citadel at ${address}: ${(error.details ?? error.message ?? String(cause)).replace(/ Resolution note: $/, '')}` };
}

import { createPrivateKey } from 'node:crypto';
import { status, type sendUnaryData, type Metadata, type ServerWritableStream } from '@grpc/grpc-js';
import type { JWTBundlesResponse, JWTSVIDRequest, JWTSVIDResponse, SpiffeWorkloadAPIServer, ValidateJWTSVIDRequest, ValidateJWTSVIDResponse, X509BundlesResponse, X509SVIDResponse } from '@meltemi/api/gen/spiffe/workload.ts';
import { err, ok, type Result } from '@meltemi/base';
import { parsePem, type TrustBundle, type WorkloadCertificate } from '@meltemi/identity';
import { KeySet, verifyJwtSvid } from '@meltemi/identity/jwt';
import type { JwtSvid, JwtSvidFailure } from '@meltemi/identity-edge';

/** Callers that were steered here by a forged request do not set it (SPIFFE Workload Endpoint §4). */
const securityHeader = 'workload.spiffe.io';

/** Where JWT-SVIDs of this identity come from; JwtSvids of identity-edge is one. */
export interface JwtSource {
  get(audiences: readonly string[]): Promise<Result<JwtSvid, JwtSvidFailure>>;
}

interface Answers {
  readonly svid: X509SVIDResponse;
  readonly bundles: X509BundlesResponse;
  readonly jwtBundles: JWTBundlesResponse;
  readonly spiffeId: string;
  /** What verifies tokens, by trust domain. */
  readonly keys: ReadonlyMap<string, KeySet>;
}

/** The SPIFFE Workload API for one identity: every caller gets it, and again with each renewal or change of trust. */
export class WorkloadApi {
  readonly #maxStreams: number;
  readonly #jwt: JwtSource;
  readonly #streams = new Set<() => void>();
  readonly #ends = new Set<() => void>();
  #answers: Answers | undefined;

  constructor(maxStreams: number, jwt: JwtSource) {
    this.#maxStreams = maxStreams;
    this.#jwt = jwt;
  }

  /** What there is from now on. Callers before the first wait for it. */
  serve(certificate: WorkloadCertificate): void {
    this.#answers = answersOf(certificate);
    for (const send of this.#streams) send();
  }

  stop(): void {
    for (const end of this.#ends) end();
  }

  handlers(): SpiffeWorkloadAPIServer {
    return {
      fetchX509Svid: (call) => this.#follow(call, ({ svid }) => svid),
      fetchX509Bundles: (call) => this.#follow(call, ({ bundles }) => bundles),
      fetchJwtsvid: (call, done) => void this.#fetchJwt(call.request, call.metadata).then((outcome) => answer(outcome, done)),
      validateJwtsvid: (call, done) => answer(this.#validateJwt(call.request, call.metadata), done),
      fetchJwtBundles: (call) => this.#follow(call, ({ jwtBundles }) => jwtBundles),
    };
  }

  async #fetchJwt({ audience, spiffeId }: JWTSVIDRequest, metadata: Metadata): Promise<Result<JWTSVIDResponse, Refusal>> {
    const refused = misdirected(metadata);
    if (refused) return err(refused);
    if (audience.length === 0) return err({ code: status.INVALID_ARGUMENT, details: 'audience must be specified' });
    if (this.#answers === undefined) return err(notYet);
    if (spiffeId !== '' && spiffeId !== this.#answers.spiffeId) return err({ code: status.PERMISSION_DENIED, details: `the identity of this socket is ${this.#answers.spiffeId}` });
    const svid = await this.#jwt.get(audience);
    if (!svid.ok) return err({ code: svid.error.refused ? status.PERMISSION_DENIED : status.UNAVAILABLE, details: svid.error.message });
    return ok({ svids: [{ spiffeId: svid.value.spiffeId, svid: svid.value.token, hint: '' }] });
  }

  #validateJwt({ audience, svid }: ValidateJWTSVIDRequest, metadata: Metadata): Result<ValidateJWTSVIDResponse, Refusal> {
    const refused = misdirected(metadata);
    if (refused) return err(refused);
    if (audience === '' || svid === '') return err({ code: status.INVALID_ARGUMENT, details: `${audience === '' ? 'audience' : 'svid'} must be specified` });
    const { keys } = this.#answers ?? {};
    if (!keys) return err(notYet);
    const verified = verifyJwtSvid(svid, { audience, now: Date.now(), keysOf: (trustDomain) => keys.get(trustDomain) });
    return verified.ok ? ok({ spiffeId: verified.value.spiffeId, claims: { ...verified.value.claims } }) : err({ code: status.INVALID_ARGUMENT, details: verified.error });
  }

  /** Writes the newest answer whenever there is one and the caller reads; of several that it missed only the last. */
  #follow<Req, Res>(call: ServerWritableStream<Req, Res>, pick: (answers: Answers) => Res): void {
    const refused = misdirected(call.metadata) ?? (this.#streams.size < this.#maxStreams ? undefined : { code: status.RESOURCE_EXHAUSTED, details: `${this.#maxStreams} streams are served already` });
    if (refused) return void call.emit('error', refused);
    let sent: Answers | undefined;
    let blocked = false;
    const send = (): void => {
      if (blocked || this.#answers === undefined || sent === this.#answers) return;
      sent = this.#answers;
      blocked = !call.write(pick(sent));
    };
    const end = (): void => void call.emit('error', { code: status.UNAVAILABLE, details: 'the workload socket is closing' });
    const forget = (): void => {
      this.#streams.delete(send);
      this.#ends.delete(end);
    };
    call.on('drain', () => {
      blocked = false;
      send();
    });
    for (const event of ['cancelled', 'close', 'error', 'finish'] as const) call.on(event, forget);
    this.#streams.add(send);
    this.#ends.add(end);
    send();
  }
}

interface Refusal {
  readonly code: status;
  readonly details: string;
}

const notYet: Refusal = { code: status.UNAVAILABLE, details: 'there is no identity yet' };

function misdirected(metadata: Metadata): Refusal | undefined {
  return metadata.get(securityHeader).includes('true') ? undefined : { code: status.INVALID_ARGUMENT, details: `security header missing from request: metadata ${securityHeader} must be "true"` };
}

function answer<Res>(outcome: Result<Res, Refusal>, done: sendUnaryData<Res>): void {
  if (outcome.ok) done(null, outcome.value);
  else done(outcome.error);
}

function answersOf(certificate: WorkloadCertificate): Answers {
  const { trust } = certificate;
  const federated = Object.fromEntries((trust.federated ?? []).map((other) => [trustDomainId(other), rootsOf(other)]));
  const svid = {
    spiffeId: certificate.spiffeId, hint: '', bundle: rootsOf(trust), x509Svid: derOf(certificate.certChainPem),
    x509SvidKey: createPrivateKey(certificate.privateKeyPem).export({ type: 'pkcs8', format: 'der' }),
  };
  const crl = revocationLists(trust);
  const believed = [trust, ...(trust.federated ?? [])];
  const keyed = believed.filter(({ jwtKeys }) => jwtKeys !== undefined);
  return {
    svid: { svids: [svid], crl, federatedBundles: federated }, bundles: { crl, bundles: { [trustDomainId(trust)]: svid.bundle, ...federated } },
    jwtBundles: { bundles: Object.fromEntries(keyed.map((bundle) => [trustDomainId(bundle), Buffer.from(bundle.jwtKeys ?? '')])) },
    spiffeId: certificate.spiffeId, keys: new Map(keyed.flatMap(({ trustDomain, jwtKeys = '' }) => keysOf(jwtKeys).map((keys) => [trustDomain, keys] as const))),
  };
}

function keysOf(jwtKeys: string): KeySet[] {
  const keys = KeySet.parse(jwtKeys);
  return keys.ok ? [keys.value] : [];
}

function trustDomainId({ trustDomain }: TrustBundle): string {
  return `spiffe://${trustDomain}`;
}

function revocationLists({ revoked }: TrustBundle): Buffer[] {
  const blocks = revoked ? parsePem(revoked.pem, 'X509 CRL', { maxBytes: 16 << 20 }) : undefined;
  return blocks?.ok ? blocks.value : [];
}

function rootsOf({ roots }: TrustBundle): Buffer {
  return Buffer.concat(roots.map((root) => root.der));
}

function derOf(pem: string): Buffer {
  const blocks = parsePem(pem, 'CERTIFICATE');
  return blocks.ok ? Buffer.concat(blocks.value) : Buffer.alloc(0);
}

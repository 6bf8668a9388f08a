import { createPrivateKey } from 'node:crypto';
import { status, type sendUnaryData, type Metadata, type ServerWritableStream } from '@grpc/grpc-js';
import type { SpiffeWorkloadAPIServer, X509BundlesResponse, X509SVIDResponse } from '@meltemi/api/gen/spiffe/workload.ts';
import { parsePem, type TrustBundle, type WorkloadCertificate } from '@meltemi/identity';

/** Callers that were steered here by a forged request do not set it (SPIFFE Workload Endpoint §4). */
const securityHeader = 'workload.spiffe.io';

const jwtsRefused = 'JWT-SVIDs are not issued by this mesh: use the X.509-SVID';

interface Answers {
  readonly svid: X509SVIDResponse;
  readonly bundles: X509BundlesResponse;
}

/** The SPIFFE Workload API for one identity: every caller gets it, and again with each renewal or change of trust. */
export class WorkloadApi {
  readonly #maxStreams: number;
  readonly #streams = new Set<() => void>();
  readonly #ends = new Set<() => void>();
  #answers: Answers | undefined;

  constructor(maxStreams: number) {
    this.#maxStreams = maxStreams;
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
      fetchJwtsvid: (call, done) => refuseJwt(call.metadata, done),
      validateJwtsvid: (call, done) => refuseJwt(call.metadata, done),
      fetchJwtBundles: (call) => void call.emit('error', misdirected(call.metadata) ?? { code: status.UNIMPLEMENTED, details: jwtsRefused }),
    };
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

function misdirected(metadata: Metadata): { readonly code: status; readonly details: string } | undefined {
  return metadata.get(securityHeader).includes('true') ? undefined : { code: status.INVALID_ARGUMENT, details: `security header missing from request: metadata ${securityHeader} must be "true"` };
}

function refuseJwt(metadata: Metadata, done: sendUnaryData<never>): void {
  done(misdirected(metadata) ?? { code: status.UNIMPLEMENTED, details: jwtsRefused });
}

function answersOf(certificate: WorkloadCertificate): Answers {
  const { trust } = certificate;
  const federated = Object.fromEntries((trust.federated ?? []).map((other) => [trustDomainId(other), rootsOf(other)]));
  const svid = {
    spiffeId: certificate.spiffeId, hint: '', bundle: rootsOf(trust), x509Svid: derOf(certificate.certChainPem),
    x509SvidKey: createPrivateKey(certificate.privateKeyPem).export({ type: 'pkcs8', format: 'der' }),
  };
  const crl = revocationLists(trust);
  return { svid: { svids: [svid], crl, federatedBundles: federated }, bundles: { crl, bundles: { [trustDomainId(trust)]: svid.bundle, ...federated } } };
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

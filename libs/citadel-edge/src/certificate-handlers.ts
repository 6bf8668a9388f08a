import { status, type sendUnaryData, type ServerUnaryCall, type StatusObject } from '@grpc/grpc-js';
import type { IstioCertificateServiceServer } from '@meltemi/api/gen/istio/security/v1alpha1/ca.ts';
import type { JoinTokensServer, JwtSvidsServer, TrustBundleServer } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { err, ok, withDeadline, type Result } from '@meltemi/base';
import type { CallerProof, CertificateService, CitadelError, CitadelErrorCode, Issuance, Refusal, Roster } from '@meltemi/citadel';
import { formatSpiffeId } from '@meltemi/identity';
import { peerCertificate } from '@meltemi/identity-edge';
import { bundleMessage } from './bundle-message.ts';
import { remember } from './followers.ts';
import type { CitadelStats } from './stats.ts';
import type { TrustWatchers } from './trust-watchers.ts';

/** What citadel says to its log; pino's loggers fit. */
export interface CitadelLog {
  debug?(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface HandlerParts {
  readonly service: CertificateService;
  readonly stats: CitadelStats;
  readonly log: CitadelLog;
  readonly roster: Roster;
  readonly watchers: TrustWatchers;
}

/** Citadel answers within this, whatever deadline the caller set or forgot. */
const callDeadlineMs = 10_000;

const grpcCodes: Readonly<Record<CitadelErrorCode, status>> = {
  unauthenticated: status.UNAUTHENTICATED,
  denied: status.PERMISSION_DENIED,
  invalid: status.INVALID_ARGUMENT,
  exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  internal: status.INTERNAL,
};

/** Istio's certificate service, wire-compatible: istio.v1.auth.IstioCertificateService. */
export function certificateHandlers(parts: HandlerParts): IstioCertificateServiceServer {
  return {
    createCertificate: (call, done) =>
      answer(parts, done, async () => {
        parts.stats.csr.inc();
        const { csr, validityDuration } = call.request;
        const issued = await parts.service.createCertificate({ csr, requestedMs: Number(validityDuration) * 1000, proof: proofOf(call) });
        if (issued.ok) await remember(issued.value, call.metadata, { service: parts.service, roster: parts.roster, now: Date.now() });
        record(parts, call.getPeer(), issued);
        return issued.ok ? ok({ certChain: [...issued.value.chainPem] }) : issued;
      }),
  };
}

/** The roots, for everybody who reaches the port: they are public, and a caller that cannot verify them yet must not believe them. */
export function trustBundleHandlers(parts: HandlerParts): TrustBundleServer {
  return {
    get: (_call, done) =>
      answer(parts, done, async () => {
        return ok(bundleMessage(parts.service.trust()));
      }),
    watch: parts.watchers.watch,
  };
}

/** JWT-SVIDs of the caller's own identity. The audit names the token by its `jti`, never by its text. */
export function jwtSvidHandlers(parts: HandlerParts): JwtSvidsServer {
  return {
    issue: (call, done) =>
      answer(parts, done, async () => {
        const { log, stats } = parts;
        const { audience, ttlSeconds } = call.request;
        const { certificate } = proofOf(call);
        const signed = await parts.service.createJwtSvid({ proof: certificate ? { certificate } : {}, audiences: audience, requestedMs: Number(ttlSeconds) * 1000 });
        stats.jwtSvids.labels(signed.ok ? 'issued' : 'refused').inc();
        if (!signed.ok) {
          const { code, message, detail, caller } = signed.error;
          log.warn({ audit: true, code, reason: message, ...(detail !== undefined && { detail }), ...(caller && { caller: caller.ids.map(formatSpiffeId).join(' ') }), peer: call.getPeer() }, 'JWT-SVID refused');
          return signed;
        }
        const { token, spiffeId, audiences, keyId, id, expiresAt } = signed.value;
        log.info({ audit: true, spiffeId, audience: audiences, jti: id, kid: keyId, expiresAt: new Date(expiresAt).toISOString(), peer: call.getPeer() }, 'JWT-SVID issued');
        return ok({ token, spiffeId, expires: BigInt(expiresAt / 1000) });
      }),
  };
}

/** For the Unix socket only: whoever may open it may mint. */
export function joinTokenHandlers(parts: HandlerParts): JoinTokensServer {
  return {
    create: (call, done) =>
      answer(parts, done, async () => {
        const minted = await parts.service.createJoinToken({ spiffeId: call.request.spiffeId, lifetimeMs: Number(call.request.ttlSeconds) * 1000 });
        if (!minted.ok) {
          parts.log.warn({ reason: minted.error.message }, 'no join token minted');
          return minted;
        }
        const expiresAt = new Date(minted.value.expiresAt).toISOString();
        parts.log.info({ audit: true, spiffeId: formatSpiffeId(minted.value.id), expiresAt }, 'join token minted');
        return ok({ token: minted.value.token, expiresAt });
      }),
  };
}

function proofOf(call: ServerUnaryCall<unknown, unknown>): CallerProof {
  const [authorization] = call.metadata.get('authorization');
  const token = typeof authorization === 'string' ? /^bearer +(\S+)$/i.exec(authorization)?.[1] : undefined;
  // grpc-js gives a peer certificate only when OpenSSL has verified it against our root.
  const certificate = peerCertificate(call);
  return { ...(token === undefined ? {} : { token }), ...(certificate?.ok ? { certificate: certificate.value } : {}) };
}

/** One audit line and one count per request. Never the token, never the request's bytes. */
function record({ stats, log }: HandlerParts, peer: string, issued: Result<Issuance, Refusal>): void {
  const caller = issued.ok ? issued.value.caller : issued.error.caller;
  const who = { provedBy: caller?.how ?? 'nothing', ...(caller && { caller: caller.ids.map(formatSpiffeId).join(' ') }), ...(caller?.subject !== undefined && { subject: caller.subject }), peer };
  if (issued.ok) {
    const { id, certificate } = issued.value;
    stats.issued.inc();
    log.info({ audit: true, spiffeId: formatSpiffeId(id), serial: certificate.serial, notAfter: new Date(certificate.notAfter).toISOString(), ...who }, 'certificate issued');
    return;
  }
  const { stage, code, message, detail } = issued.error;
  ({ authentication: stats.authenticationFailure, request: stats.csrParsingError, signing: stats.signingError })[stage].inc();
  log.warn({ audit: true, code, reason: message, ...(detail !== undefined && { detail }), ...who }, 'certificate refused');
}

function answer<Res>(parts: HandlerParts, done: sendUnaryData<Res>, work: () => Promise<Result<Res, CitadelError>>): void {
  const finish = async (): Promise<void> => {
    const outcome = await settle(parts, work);
    if (outcome.ok) done(null, outcome.value);
    else done(statusOf(outcome.error));
  };
  void finish();
}

async function settle<Res>({ log }: HandlerParts, work: () => Promise<Result<Res, CitadelError>>): Promise<Result<Res, CitadelError>> {
  try {
    return await withDeadline(work(), callDeadlineMs, 'answering');
  } catch (cause) {
    log.error({ reason: cause instanceof Error ? cause.message : String(cause) }, 'request failed');
    return err({ code: 'internal', stage: 'signing', message: 'citadel could not do this now; its log says why. Try again' });
  }
}

function statusOf(error: CitadelError): Partial<StatusObject> {
  return { code: grpcCodes[error.code], details: error.message };
}

import { X509Certificate } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { formatFieldErrors } from '@meltemi/base';
import { formatSpiffeId, spiffeIdOf, type SpiffeId } from '@meltemi/identity';
import { ApiError } from '../api-call.ts';

/** Who calls the config API. */
export interface ApiCaller {
  /** For people and the audit trail: the SPIFFE id, or "the owner of the config socket". */
  readonly name: string;
  /** May do everything: whoever can open the socket could read and replace pilot's own files. */
  readonly owner: boolean;
  /** What bindings may name it by: `User/NAME`, `Group/NAME`, `ServiceAccount/NAMESPACE/NAME`. */
  readonly subjects: readonly string[];
  /** When the certificate that proved it ends, milliseconds since the epoch; Infinity without one. */
  readonly provenUntilMs: number;
}

/** Every kind of grpc-js server call fits. */
export interface IdentifiedCall {
  getAuthContext(): { readonly sslPeerCertificate?: { readonly raw: Buffer } };
}

/** On a Unix socket of mode 0600 there is only one caller. */
export const socketOwner: ApiCaller = { name: 'the owner of the config socket', owner: true, subjects: [], provenUntilMs: Infinity };

/** The caller of a call over mTLS, by the certificate that TLS verified. Throws ApiError without one. */
export function certifiedCaller(trustDomain: string, now: () => number = Date.now): (call: IdentifiedCall) => ApiCaller {
  return (call) => {
    const raw = call.getAuthContext().sslPeerCertificate?.raw;
    if (!raw) throw new ApiError(status.UNAUTHENTICATED, 'no client certificate: connect over mTLS with a certificate from citadel');
    const certificate = new X509Certificate(raw);
    const provenUntilMs = certificate.validToDate.getTime();
    if (now() > provenUntilMs) throw new ApiError(status.UNAUTHENTICATED, `the client certificate expired at ${certificate.validToDate.toISOString()}: connect again with a new one`);
    const id = spiffeIdOf(certificate);
    if (!id.ok) throw new ApiError(status.UNAUTHENTICATED, formatFieldErrors(id.error));
    return meshCaller(id.value, { trustDomain, provenUntilMs });
  };
}

/** A caller with an identity of the mesh. ServiceAccounts and their groups are those of the own trust domain; of others there are only users. */
export function meshCaller(id: SpiffeId, { trustDomain, provenUntilMs = Infinity }: { readonly trustDomain: string; readonly provenUntilMs?: number }): ApiCaller {
  const name = formatSpiffeId(id);
  const own = id.trustDomain === trustDomain ? [`ServiceAccount/${id.namespace}/${id.serviceAccount}`, 'Group/system:serviceaccounts', `Group/system:serviceaccounts:${id.namespace}`] : [];
  return { name, owner: false, subjects: [`User/${name}`, 'Group/system:authenticated', ...own], provenUntilMs };
}

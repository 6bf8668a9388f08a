import { fail, type Result } from '@meltemi/base';
import { spiffeIdOf, type Revocations, type SpiffeId } from '@meltemi/identity';
import { peerX509, type AuthenticatedCall } from './peer-certificate.ts';

/**
 * Who is calling, by the certificate that TLS verified at the handshake; refused when it has expired or was `revoked` since.
 * `call` is any grpc-js server call of a server with `serverCredentials(…)`.
 */
export function callerIdentity(call: AuthenticatedCall, now: number = Date.now(), revoked?: Revocations): Result<SpiffeId> {
  const certificate = peerX509(call);
  if (!certificate) return fail('', 'no valid client certificate: connect over mTLS with a certificate from citadel');
  if (now > certificate.validToDate.getTime()) return fail('', `the client certificate expired at ${certificate.validToDate.toISOString()} while the connection stayed open: connect again`);
  if (revoked?.serials.has(certificate.serialNumber.toLowerCase().replace(/^0+(?=.)/, '')) === true) return fail('', 'the client certificate is revoked: join again with a new token');
  return spiffeIdOf(certificate);
}

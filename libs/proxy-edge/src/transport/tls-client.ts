import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type tls from 'node:tls';
import { ok, type Result } from '@meltemi/base';
import type { UpstreamTls } from '@meltemi/snapshot';
import type { LocalNames } from './tls-info.ts';
import { checkPeer, notSupplied, spokenProtocols, tlsMaterial, type SecretLookup } from './tls-material.ts';

/** One immutable client context. A rotated secret makes a new one; open connections keep theirs. */
export interface ClientTls {
  readonly sni: string;
  /** What it asks by ALPN; empty = nothing. */
  readonly alpn: readonly string[];
  readonly verifies: boolean;
  /** Why no connection can be made: a secret has not arrived in time. Null = none misses. */
  readonly notReady: string | null;
  readonly local: LocalNames | null;
  /** Options of tls.connect that this context decides. */
  connectOptions(sni: string, alpn: readonly string[] | null): tls.ConnectionOptions;
  /**
   * Why the server of a finished handshake is not talked to, or null. Node asks checkServerIdentity only of chains that lead to a root; pins hold
   * without one. `peerName`: a name that a verified certificate must have besides; "" = none.
   */
  refusal(server: X509Certificate | undefined, peerName: string): string | null;
}

/** Compiles an upstream TLS config; fails while a secret is missing. */
export function clientTls(config: UpstreamTls, secrets: SecretLookup): Result<ClientTls> {
  const material = tlsMaterial(config, secrets);
  if (!material.ok) return material;
  const { context, verifies, local } = material.value;
  return ok({
    sni: config.sni,
    alpn: config.alpn,
    verifies,
    notReady: null,
    local,
    connectOptions(sni, alpn) {
      const servername = sni || config.sni;
      const protocols = spokenProtocols(alpn ?? config.alpn);
      return {
        secureContext: context,
        rejectUnauthorized: verifies,
        // Names and pins, not host names, say who the peer is: `refusal` reads them.
        checkServerIdentity: () => undefined,
        ...(servername !== '' && !isIp(servername) && { servername }),
        ...(protocols.length > 0 && { ALPNProtocols: [...protocols] }),
      };
    },
    refusal: (server, peerName) => checkPeer(server, material.value) ?? (peerName === '' || !verifies || provesName(server, peerName) ? null : `the certificate of the peer is not for ${peerName}`),
  });
}

/** Stands where a secret has not arrived in time: no connection is made, as in Envoy. */
export function clientAwaitingSecrets(config: UpstreamTls, missing: readonly string[]): ClientTls {
  return { sni: config.sni, alpn: config.alpn, verifies: true, notReady: notSupplied(missing), local: null, connectOptions: () => ({}), refusal: () => notSupplied(missing) };
}

/** By its subject alternative names alone. */
function provesName(peer: X509Certificate | undefined, name: string): boolean {
  if (peer === undefined) return false;
  return (isIp(name) ? peer.checkIP(name) : peer.checkHost(name, { subject: 'never' })) !== undefined;
}

function isIp(name: string): boolean {
  return isIP(name) !== 0;
}

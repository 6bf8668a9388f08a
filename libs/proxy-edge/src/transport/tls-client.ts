import type { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type tls from 'node:tls';
import { ok, type Result } from '@meltemi/base';
import type { UpstreamTls } from '@meltemi/snapshot';
import type { LocalNames } from './tls-info.ts';
import { checkPeer, spokenProtocols, tlsMaterial, type SecretLookup } from './tls-material.ts';

/** One immutable client context. A rotated secret makes a new one; open connections keep theirs. */
export interface ClientTls {
  readonly sni: string;
  readonly verifies: boolean;
  readonly local: LocalNames | null;
  /** Options of tls.connect that this context decides. */
  connectOptions(sni: string, alpn: readonly string[] | null): tls.ConnectionOptions;
  /** Why the server of a finished handshake is not talked to, or null. Node asks checkServerIdentity only of chains that lead to a root; pins hold without one. */
  refusal(server: X509Certificate | undefined): string | null;
}

/** Compiles an upstream TLS config; fails while a secret is missing. */
export function clientTls(config: UpstreamTls, secrets: SecretLookup): Result<ClientTls> {
  const material = tlsMaterial(config, secrets);
  if (!material.ok) return material;
  const { context, verifies, local } = material.value;
  return ok({
    sni: config.sni,
    verifies,
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
    refusal: (server) => checkPeer(server, material.value.validation),
  });
}

function isIp(name: string): boolean {
  return isIP(name) !== 0;
}

import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import type tls from 'node:tls';
import { ok, type Result } from '@meltemi/base';
import type { UpstreamTls } from '@meltemi/snapshot';
import type { LocalNames } from './tls-info.ts';
import { checkPeer, spokenProtocols, tlsMaterial, type SecretLookup, type TlsMaterial } from './tls-material.ts';

/** One immutable client context. A rotated secret makes a new one; open connections keep theirs. */
export interface ClientTls {
  readonly sni: string;
  readonly verifies: boolean;
  readonly local: LocalNames | null;
  /** Options of tls.connect that this context decides. */
  connectOptions(sni: string, alpn: readonly string[] | null): tls.ConnectionOptions;
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
        // SPIFFE names, not host names, say who the peer is.
        checkServerIdentity: (_host, certificate) => identityError(material.value, certificate),
        ...(servername !== '' && !isIp(servername) && { servername }),
        ...(protocols.length > 0 && { ALPNProtocols: [...protocols] }),
      };
    },
  });
}

function identityError(material: TlsMaterial, certificate: tls.PeerCertificate): Error | undefined {
  const x509 = parsePeer(certificate);
  const reason = checkPeer(x509, material.validation);
  return reason === null ? undefined : new Error(reason);
}

function parsePeer(certificate: tls.PeerCertificate): X509Certificate | undefined {
  return certificate.raw ? new X509Certificate(certificate.raw) : undefined;
}

function isIp(name: string): boolean {
  return isIP(name) !== 0;
}

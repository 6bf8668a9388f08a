import type { X509Certificate } from 'node:crypto';
import { fail, type Result } from '@meltemi/base';
import { parseSpiffeId, type SpiffeId } from './spiffe.ts';

/**
 * The SPIFFE id in a certificate that TLS has already verified: `spiffeIdOf(socket.getPeerX509Certificate())`.
 * Cheap enough for every connection: reads OpenSSL's own rendering of the names instead of parsing DER again.
 */
export function spiffeIdOf(certificate: (Pick<X509Certificate, 'subjectAltName'> & { readonly ca?: boolean }) | undefined): Result<SpiffeId> {
  if (!certificate) return fail('', 'the peer presented no certificate');
  // OpenSSL lets an authority speak for itself; SPIFFE does not (X509-SVID §5.2).
  if (certificate.ca === true) return fail('', "the peer's certificate is an authority's: it may sign, not speak");
  const names = certificate.subjectAltName ?? '';
  // node renders "DNS:a, URI:spiffe://…" and puts in quotes a value that holds a separator: no honest name of the mesh does.
  if (names.includes('"')) return fail('', "the peer's certificate has a name with separators or control characters in it");
  const uris = names.split(', ').filter((name) => name.startsWith('URI:'));
  const [uri] = uris;
  if (uri === undefined || uris.length > 1) return fail('', `the peer's certificate has ${uris.length} URI names; a SPIFFE certificate has exactly one`);
  return parseSpiffeId(uri.slice('URI:'.length));
}

import { request } from 'node:https';
import { rootCertificates, type DetailedPeerCertificate, type PeerCertificate } from 'node:tls';
import { formatFieldErrors } from '@meltemi/base';
import { createTrustBundle, parseCertificate, parseChain, verifyFederated } from '@meltemi/identity';

/** Where a trust domain publishes its bundle (SPIFFE_Federation.md §5). */
export interface BundleEndpoint {
  /** https. */
  readonly url: string;
  /** `https_web`: a certificate of the web's authorities, or of `caPem`, for the URL's host. `https_spiffe`: one of the trust domain itself, for `spiffeId`. */
  readonly profile: { readonly kind: 'https_web'; readonly caPem?: string } | { readonly kind: 'https_spiffe'; readonly spiffeId: string };
}

export interface GetOptions {
  readonly trustDomain: string;
  /** The roots known so far: what https_spiffe is checked against. */
  readonly rootsPem: readonly string[];
  readonly signal: AbortSignal;
}

/** The text of the document; an Error says why there is none. */
export type BundleGetter = (endpoint: BundleEndpoint, options: GetOptions) => Promise<string>;

const maxBytes = 262_144;
const deadlineMs = 10_000;

/** One GET: no redirect is followed, and size and time are bounded. */
export const getBundle: BundleGetter = (endpoint, options) =>
  new Promise((resolve, reject) => {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(deadlineMs)]);
    // One connection each: whom it leads to is checked every time.
    const call = request(endpoint.url, { agent: false, signal, headers: { accept: 'application/json' }, ...tlsOptions(endpoint, options) });
    call.once('error', (cause) => reject(signal.aborted && !options.signal.aborted ? new Error(`${endpoint.url}: no answer within ${deadlineMs} ms`) : new Error(`${endpoint.url}: ${cause.message}`, { cause })));
    call.once('response', (response) => {
      const fail = (reason: string): void => {
        call.destroy();
        reject(new Error(`${endpoint.url} ${reason}`));
      };
      if (response.statusCode !== 200) return fail(`answers ${response.statusCode}${(response.statusCode ?? 0) >= 300 && (response.statusCode ?? 0) < 400 ? '; redirects are not followed' : ''}`);
      const parts: Buffer[] = [];
      let size = 0;
      response.on('data', (part: Buffer) => {
        size += part.length;
        if (size > maxBytes) return fail(`sends more than ${maxBytes} bytes`);
        parts.push(part);
      });
      response.once('end', () => resolve(Buffer.concat(parts).toString('utf8')));
      response.once('error', reject);
    });
    call.end();
  });

function tlsOptions({ profile }: BundleEndpoint, options: GetOptions) {
  if (profile.kind === 'https_web') return { ca: profile.caPem === undefined ? [...rootCertificates] : profile.caPem };
  return {
    ca: [...options.rootsPem],
    // The id stands in the certificate, whatever the URL's host is.
    servername: '',
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => refusal(certificate as DetailedPeerCertificate, profile.spiffeId, options),
  };
}

/** Called after OpenSSL has followed the chain to one of the roots; this is for what it does not know of: names, usages, constraints. */
function refusal(certificate: DetailedPeerCertificate, spiffeId: string, { trustDomain, rootsPem }: GetOptions): Error | undefined {
  const trust = createTrustBundle(trustDomain, rootsPem);
  const chain = parseChain(presented(certificate));
  const verified = trust.ok && chain.ok ? verifyFederated(chain.value, trust.value, { now: Date.now(), use: 'server' }) : trust.ok ? chain : trust;
  if (!verified.ok) return new Error(`its certificate is refused: ${formatFieldErrors(verified.error)}`);
  const leaf = parseCertificate(certificate.raw);
  const uri = leaf.ok ? leaf.value.uris[0] : undefined;
  return uri === spiffeId ? undefined : new Error(`its certificate belongs to ${uri ?? 'nobody'}, not to ${spiffeId}`);
}

function presented(certificate: DetailedPeerCertificate): Buffer[] {
  const chain: Buffer[] = [];
  let at: DetailedPeerCertificate | undefined = certificate;
  while (at?.raw && chain.length < 6 && !chain.some((der) => der.equals(at?.raw ?? der))) {
    chain.push(at.raw);
    at = at.issuerCertificate;
  }
  return chain;
}

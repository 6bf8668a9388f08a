import { percentEncode, type HeaderMap, type TlsInfo } from '@meltemi/http';
import type { HcmConfig } from '@meltemi/snapshot';

const name = 'x-forwarded-client-cert';

/** Applies forward_client_cert_details to a request. Without mTLS only `always-forward-only` keeps what the client sent. Source: Envoy's XFCC docs. */
export function applyXfcc(config: HcmConfig, tls: TlsInfo | null, headers: HeaderMap): void {
  const mode = config.forwardClientCert;
  if (mode === 'always-forward-only') return;
  const mutual = tls !== null && tls.peerPresented;
  if (mode === 'sanitize' || !mutual) {
    headers.remove(name);
    return;
  }
  if (mode === 'forward-only') return;
  const own = ownElement(config, tls);
  const sent = mode === 'append-forward' ? headers.getAll(name) : null;
  headers.set(name, sent === null || sent === '' ? own : `${sent},${own}`);
}

/** One connection's element is the same for all its requests. */
const elements = new WeakMap<TlsInfo, Map<HcmConfig, string>>();

function ownElement(config: HcmConfig, tls: TlsInfo): string {
  let byConfig = elements.get(tls);
  if (byConfig === undefined) elements.set(tls, (byConfig = new Map()));
  let element = byConfig.get(config);
  if (element === undefined) byConfig.set(config, (element = buildElement(config, tls)));
  return element;
}

function buildElement(config: HcmConfig, tls: TlsInfo): string {
  const wanted = config.setCurrentClientCert;
  const parts: string[] = [];
  for (const uri of tls.localUriSans) parts.push(`By=${plain(uri)}`);
  if (tls.peerFingerprint256 !== '') parts.push(`Hash=${tls.peerFingerprint256}`);
  if (wanted.cert) parts.push(`Cert="${encodeURIComponent(tls.peerCertPem)}"`);
  if (wanted.chain) parts.push(`Chain="${encodeURIComponent(tls.peerChainPem)}"`);
  // RFC 2253 has escaped quotes and backslashes already; a second time would undo the first.
  if (wanted.subject) parts.push(`Subject="${tls.peerSubject}"`);
  if (wanted.uri) for (const uri of tls.peerUriSans) parts.push(`URI=${plain(uri)}`);
  if (wanted.dns) for (const dns of tls.peerDnsSans) parts.push(`DNS=${plain(dns)}`);
  return parts.join(';');
}

/** A name from a certificate without what ends a value here: a peer may not add elements of its own. */
function plain(name: string): string {
  return percentEncode(name, '",;');
}

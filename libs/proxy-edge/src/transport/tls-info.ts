import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import type { TlsInfo } from '@meltemi/http';

/** Names in our own certificate, read once per context. */
export interface LocalNames {
  readonly subject: string;
  readonly uriSans: readonly string[];
  readonly dnsSans: readonly string[];
  readonly ipSans: readonly string[];
  readonly emailSans: readonly string[];
}

const noNames: LocalNames = { subject: '', uriSans: [], dnsSans: [], ipSans: [], emailSans: [] };

/** What the handshake of this socket agreed on. `peer`: its certificate, of which Node makes another copy each time it is asked for. What few configurations ask for is read from the certificate when it is asked for: it took a sixth of the time that handshakes spend in JavaScript. */
export function tlsInfoOf(socket: TLSSocket, peer: X509Certificate | undefined, facts: { sni: string; validated: boolean; local: LocalNames | null }): TlsInfo {
  const local = facts.local ?? noNames;
  const sans = subjectAltNames(peer);
  const alpn = socket.alpnProtocol;
  const late = new PeerFields(peer);
  return {
    version: socket.getProtocol() ?? '',
    cipher: socket.getCipher().name,
    sni: facts.sni,
    alpn: typeof alpn === 'string' ? alpn : '',
    peerPresented: peer !== undefined,
    peerValidated: peer !== undefined && facts.validated,
    get peerSubject() {
      return late.subject;
    },
    get peerIssuer() {
      return late.issuer;
    },
    peerUriSans: sans.uri,
    peerDnsSans: sans.dns,
    peerIpSans: sans.ip,
    peerEmailSans: sans.email,
    get peerSerial() {
      return peer?.serialNumber.toLowerCase() ?? '';
    },
    get peerFingerprint256() {
      return late.fingerprint256;
    },
    get peerFingerprint1() {
      return peer?.fingerprint.replaceAll(':', '').toLowerCase() ?? '';
    },
    get peerCertPem() {
      return peer?.toString() ?? '';
    },
    get peerChainPem() {
      return chainPem(peer);
    },
    get peerCertValidFromMs() {
      return peer ? Date.parse(peer.validFrom) : 0;
    },
    get peerCertValidToMs() {
      return peer ? Date.parse(peer.validTo) : 0;
    },
    localSubject: local.subject,
    localUriSans: local.uriSans,
    localDnsSans: local.dnsSans,
    localIpSans: local.ipSans,
    localEmailSans: local.emailSans,
  };
}

/** Texts made once, when first asked for: access logs may ask with every request. */
class PeerFields {
  readonly #peer: X509Certificate | undefined;
  #subject: string | null = null;
  #issuer: string | null = null;
  #fingerprint: string | null = null;

  constructor(peer: X509Certificate | undefined) {
    this.#peer = peer;
  }

  get subject(): string {
    return (this.#subject ??= distinguishedName(this.#peer?.subject));
  }

  get issuer(): string {
    return (this.#issuer ??= distinguishedName(this.#peer?.issuer));
  }

  get fingerprint256(): string {
    return (this.#fingerprint ??= this.#peer?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '');
  }
}

/** A root issued itself: it ends the chain. */
function chainPem(peer: X509Certificate | undefined): string {
  let text = '';
  for (let one = peer; one !== undefined; one = one.issuerCertificate === one || one.issuerCertificate?.fingerprint256 === one.fingerprint256 ? undefined : one.issuerCertificate) text += one.toString();
  return text;
}

export function localNames(certificate: X509Certificate): LocalNames {
  const sans = subjectAltNames(certificate);
  return { subject: distinguishedName(certificate.subject), uriSans: sans.uri, dnsSans: sans.dns, ipSans: sans.ip, emailSans: sans.email };
}

export interface SubjectAltNames {
  readonly uri: readonly string[];
  readonly dns: readonly string[];
  readonly ip: readonly string[];
  readonly email: readonly string[];
}

const kindOf: Readonly<Record<string, keyof SubjectAltNames>> = { URI: 'uri', DNS: 'dns', 'IP Address': 'ip', email: 'email' };

/** A name of DNS with anything else in it could only be taken for another kind of name: policies compare principals with these, too. */
const hostName = /^[\w.*-]+$/;

/** Node's text "URI:spiffe://a, DNS:b" taken apart; values that Node quotes (they hold ", ") are JSON strings. */
export function subjectAltNames(certificate: Pick<X509Certificate, 'subjectAltName'> | undefined): SubjectAltNames {
  const names = { uri: [] as string[], dns: [] as string[], ip: [] as string[], email: [] as string[] };
  const text = certificate?.subjectAltName ?? '';
  for (const match of text.matchAll(/(URI|DNS|IP Address|email):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)) {
    const kind = kindOf[match[1] ?? ''];
    const value = match[2] ?? '';
    if (kind === 'dns' && !hostName.test(value)) continue;
    if (kind !== undefined) names[kind].push(value.startsWith('"') ? unquote(value) : value);
  }
  return names;
}

/** A name with control characters stays in quotes: it equals no honest name, and ends no line of a log or header it gets into. */
function unquote(text: string): string {
  try {
    const plain = String(JSON.parse(text));
    return /\p{Cc}/u.test(plain) ? text : plain;
  } catch {
    return text;
  }
}

/** Node writes one attribute a line, most significant first; RFC 2253 wants them the other way round, joined by ",", and letters beyond ASCII as their bytes. */
function distinguishedName(text: string | undefined): string {
  const name = (text ?? '').split('\n').filter(Boolean).reverse().join(',');
  return name.replace(/[^\0-\x7f]+/gu, (letters) => [...Buffer.from(letters)].map((byte) => `\\${byte.toString(16).toUpperCase()}`).join(''));
}

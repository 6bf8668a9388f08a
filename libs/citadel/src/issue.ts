import type { KeyObject } from 'node:crypto';
import { ok, type Result } from '@meltemi/base';
import { buildCertificate, formatSpiffeId, parseCertificate, verifyChain, type Certificate, type CertificateTemplate, type SpiffeId } from '@meltemi/identity';
import type { OpenAuthority, SigningAuthority } from './authority.ts';
import { backdatedMs } from './backdate.ts';
import type { Entropy } from './entropy.ts';
import { refuse, type CitadelError } from './errors.ts';

/** What to certify, decided by citadel: nothing but the key comes from the request. */
export interface IssueOrder {
  readonly id: SpiffeId;
  readonly publicKey: KeyObject;
  readonly dnsNames: readonly string[];
  readonly ips: readonly string[];
  /** Capped by the issuer's own end. */
  readonly lifetimeMs: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A certificate that was checked after signing, with its chain. */
export interface IssuedCertificate {
  readonly certificate: Certificate;
  /** PEM, one certificate each: leaf, issuing CA, what lies between, root. The order of Istio's certificate service. */
  readonly chainPem: readonly string[];
}

/** Template → sign → validate. What does not come out as ordered never leaves. */
export function issueCertificate(authority: SigningAuthority, order: IssueOrder, entropy: Entropy): Result<IssuedCertificate, CitadelError> {
  const template = templateOf(authority, order, entropy);
  if (template.notAfter <= order.now) return refuse('signing', 'internal', `the issuing CA ended at ${new Date(authority.issuer[0].notAfter).toISOString()}; citadel must make a new one`);
  const parsed = parseCertificate(buildCertificate(template, authority.signer), order.publicKey);
  if (!parsed.ok) return refuse('signing', 'internal', `the signed certificate cannot be read back: ${parsed.error[0]?.message}`);
  const wrong = differs(parsed.value, template, authority, order);
  if (wrong !== undefined) return refuse('signing', 'internal', `the signed certificate is not what was ordered: ${wrong}`);
  return ok({ certificate: parsed.value, chainPem: [...new Set([parsed.value, ...authority.issuer, authority.root].map(({ pem }) => pem))] });
}

/** Of 128 random bits, less what leading zeros may take: 64 bits are CAs' minimum. */
const minSerialDigits = 16;
/** serverAuth and clientAuth. */
const tlsUses = '1.3.6.1.5.5.7.3.1,1.3.6.1.5.5.7.3.2';

function templateOf(authority: OpenAuthority, order: IssueOrder, entropy: Entropy): CertificateTemplate {
  // Whole seconds, as certificates have them; the end is rounded down so that no cap is passed.
  const second = (ms: number): number => Math.floor(ms / 1000) * 1000;
  return {
    serial: entropy.bytes(16),
    publicKey: order.publicKey,
    notBefore: Math.max(second(order.now - backdatedMs), authority.issuer[0].notBefore),
    notAfter: second(Math.min(order.now + order.lifetimeMs, authority.issuer[0].notAfter)),
    names: { uris: [formatSpiffeId(order.id)], dnsNames: order.dnsNames, ips: order.ips },
    role: { kind: 'workload' },
  };
}

function differs(certificate: Certificate, template: CertificateTemplate, authority: OpenAuthority, order: IssueOrder): string | undefined {
  const chain = verifyChain([certificate, ...authority.issuer], authority.trust, { now: order.now, use: 'any' });
  if (!chain.ok) return `the chain does not hold (${chain.error[0]?.message})`;
  if (formatSpiffeId(chain.value.id) !== formatSpiffeId(order.id)) return 'another identity';
  if (certificate.dnsNames.join() !== order.dnsNames.join()) return 'other DNS names';
  if (certificate.ips.join() !== order.ips.join()) return 'other IP addresses';
  if (!certificate.publicKey.equals(order.publicKey)) return 'another key';
  if (certificate.notAfter !== template.notAfter || certificate.notBefore !== template.notBefore) return 'another lifetime';
  if (certificate.notAfter > authority.issuer[0].notAfter) return 'a life beyond the end of its issuer';
  if (certificate.serial.length < minSerialDigits) return 'a serial number that could be guessed';
  const usage = [...(certificate.keyUsage ?? [])].join();
  const extended = [...(certificate.extendedKeyUsage ?? [])].toSorted().join();
  if (usage !== 'digitalSignature,keyEncipherment' || extended !== tlsUses) return 'another usage';
  return undefined;
}

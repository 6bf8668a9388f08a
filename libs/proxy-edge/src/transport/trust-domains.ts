import type { X509Certificate } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { createTrustBundle, parseChain, verifyFederated, withFederated, withRevocations, type TrustBundle } from '@meltemi/identity';
import type { Validation } from '@meltemi/snapshot';
import { readSource } from './read-source.ts';

/** More certificates than a chain may have are not read. */
const maxPresented = 7;

/** The roots of the SPIFFE validator by trust domain, read and checked; null when there is none. */
export function trustDomainsOf(validation: Validation | null): Result<TrustBundle | null> {
  const [first, ...others] = validation?.trustDomains ?? [];
  if (!first) return ok(null);
  const pem = ({ roots }: typeof first): string => readSource(roots).toString('utf8');
  const own = createTrustBundle(first.name, [pem(first)]);
  if (!own.ok) return fail('custom_validator_config', `trust domain ${first.name}: ${own.error[0]?.message ?? 'no roots'}`);
  // OpenSSL would ask for a list of every authority, federated ones included.
  const listed = withRevocations(own.value, validation?.crl ? readSource(validation.crl).toString('utf8') : '');
  if (!listed.ok) return fail('crl', listed.error[0]?.message ?? 'cannot be read');
  const all = withFederated(listed.value, others.map((each) => ({ trustDomain: each.name, rootsPem: [pem(each)] })));
  return all.ok ? all : fail('custom_validator_config', all.error[0]?.message ?? 'no roots');
}

/** Every root, for OpenSSL, which knows no trust domains. */
export function allRoots({ pem, federated = [] }: TrustBundle): string {
  return pem + federated.map((each) => each.pem).join('');
}

/** Why the peer's chain does not lead to a root of the trust domain that its SPIFFE id names, or null. */
export function misplaced(peer: X509Certificate, trustDomains: TrustBundle, allowExpired: boolean): string | null {
  const chain = parseChain(presented(peer));
  const leafEnds = chain.ok ? (chain.value[0]?.notAfter ?? 0) : 0;
  const now = allowExpired ? Math.min(Date.now(), leafEnds) : Date.now();
  const verified = chain.ok ? verifyFederated(chain.value, trustDomains, { now, use: 'any' }) : chain;
  return verified.ok ? null : `verify trust domain: ${verified.error[0]?.message ?? 'not trusted'}`;
}

/** What the peer sent, DER, leaf first. */
function presented(peer: X509Certificate): Buffer[] {
  const chain: Buffer[] = [];
  for (let one: X509Certificate | undefined = peer; one !== undefined && chain.length < maxPresented; one = one.issuerCertificate === one ? undefined : one.issuerCertificate) chain.push(one.raw);
  return chain;
}

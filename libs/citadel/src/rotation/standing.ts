import { ok, type Result } from '@meltemi/base';
import { fingerprintOf, formatSpiffeId, verifyChain, type Certificate } from '@meltemi/identity';
import type { OpenAuthority } from '../authority.ts';
import type { ProxyReport } from './facts.ts';

/** What a certificate says about its owner. */
export type Standing = Pick<ProxyReport, 'spiffeId' | 'certificateRoot' | 'serial' | 'certificateNotAfter'>;

/** Whose certificate it is and which root it leads to. */
export function standingOf(leaf: Certificate, authority: OpenAuthority, now: number): Result<Standing> {
  const issuer = [authority.issuer, ...authority.retired].find(([issuing]) => issuing.subject.equals(leaf.issuer) && leaf.x509.verify(issuing.publicKey)) ?? authority.issuer;
  const peer = verifyChain([leaf, ...issuer], authority.trust, { now, use: 'client' });
  if (!peer.ok) return peer;
  return ok({ spiffeId: formatSpiffeId(peer.value.id), certificateRoot: fingerprintOf(peer.value.path.at(-1) ?? leaf), serial: leaf.serial, certificateNotAfter: leaf.notAfter });
}

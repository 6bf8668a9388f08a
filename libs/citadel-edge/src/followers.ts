import type { Metadata } from '@grpc/grpc-js';
import type { CertificateService, Issuance, Roster } from '@meltemi/citadel';
import { fingerprintOf, formatSpiffeId, trustedRootsOf } from '@meltemi/identity';

/** The metadata with which a certificate request says that its caller will follow the trust bundle, and under which name: name, space, run. */
export const followerKey = 'meltemi-follower';

/**
 * Remembers a certificate before it leaves: under the name of a caller that will follow the trust bundle, or among those of callers that do not.
 * Rejects when that cannot be made durable.
 */
export async function remember(issued: Issuance, metadata: Metadata, { service, roster, now }: { readonly service: CertificateService; readonly roster: Roster; readonly now: number }): Promise<void> {
  const { root, trust } = service.authority();
  const certificateRoot = fingerprintOf(root);
  const trustedRoots = trustedRootsOf(trust);
  const { serial, notAfter } = issued.certificate;
  const follower = followerOf(metadata);
  const spiffeId = formatSpiffeId(issued.id);
  if (follower) {
    const known = roster.get({ spiffeId, ...follower });
    // Whoever is connected says itself when it uses the new certificate; who is not may use the one before for a while.
    if (known?.connected) return;
    const told = known ? { ...known, certificateNotAfter: Math.max(known.certificateNotAfter, notAfter) } : { spiffeId, ...follower, address: '', trustedRoots, certificateRoot, serial, certificateNotAfter: notAfter, connected: false, heardAt: now, problem: '' };
    if (roster.put(told)) return;
  }
  await roster.silent({ certificateRoot, trustedRoots, notAfter });
}

function followerOf(metadata: Metadata): { readonly name: string; readonly run: string } | undefined {
  const [text] = metadata.get(followerKey);
  const [, name, run] = typeof text === 'string' ? (/^(\S{1,256}) (\S{1,64})$/.exec(text) ?? []) : [];
  return name === undefined || run === undefined ? undefined : { name, run };
}

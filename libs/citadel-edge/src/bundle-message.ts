import type { GetTrustBundleResponse } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import type { TrustBundle } from '@meltemi/identity';

/** A bundle as citadel sends it. */
export function bundleMessage({ trustDomain, roots, revoked, jwtKeys = '', federated = [] }: TrustBundle): GetTrustBundleResponse {
  const pemsOf = (bundle: Pick<TrustBundle, 'roots'>): string[] => bundle.roots.map((root) => root.pem);
  return { trustDomain, rootsPem: pemsOf({ roots }), federated: federated.map((other) => ({ trustDomain: other.trustDomain, rootsPem: pemsOf(other), jwtKeys: other.jwtKeys ?? '' })), revocationListsPem: revoked?.pem ?? '', jwtKeys };
}

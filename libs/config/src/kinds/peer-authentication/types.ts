import type { MatchLabelsSelector } from '../types.ts';

/** security.istio.io PeerAuthentication. */
export interface PeerAuthenticationSpec {
  readonly selector?: MatchLabelsSelector;
  readonly mtls?: MutualTls;
  /** Port of the workload (decimal) → its mode. */
  readonly portLevelMtls: Readonly<Record<string, MutualTls>>;
}

/** UNSET inherits. */
export type MutualTlsMode = 'UNSET' | 'DISABLE' | 'PERMISSIVE' | 'STRICT';

export interface MutualTls {
  readonly mode: MutualTlsMode;
}

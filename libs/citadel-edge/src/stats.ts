import { rotationPhases, type RotationPhase } from '@meltemi/citadel';
import type { Counter, Family, Gauge, StatsRegistry } from '@meltemi/observe';

/** Citadel's metrics, under the names of Istio's CA. */
export interface CitadelStats {
  readonly csr: Counter;
  readonly authenticationFailure: Counter;
  readonly csrParsingError: Counter;
  readonly issued: Counter;
  readonly signingError: Counter;
  /** outcome: issued or refused. */
  readonly jwtSvids: Family<Counter>;
  readonly rootExpirySeconds: Gauge;
  readonly authorityStale: Gauge;
  /** By role. */
  readonly expirySeconds: Family<Gauge>;
  readonly expiryWithinDays: Family<Gauge>;
  readonly revoked: Gauge;
  readonly leader: Gauge;
  /** Connections and calls of clients that have enough already. reason: see ConnectionRefusalReason; open and rate for calls. */
  readonly limited: Family<Counter>;
  readonly rotationPhase: Gauge;
  readonly rotationLagging: Gauge;
}

export function declareCitadelStats(stats: StatsRegistry): CitadelStats {
  const counter = (name: string, help: string): Counter => stats.counter(`citadel_server_${name}`, help).labels();
  return {
    csr: counter('csr_count', 'Certificate requests received.'),
    authenticationFailure: counter('authentication_failure_count', 'Requests whose caller did not prove its identity.'),
    csrParsingError: counter('csr_parsing_err_count', 'Requests that could not be read or asked for what the caller may not have.'),
    issued: counter('success_cert_issuance_count', 'Certificates issued.'),
    signingError: counter('csr_sign_err_count', 'Certificates that could not be signed, or were not what was ordered.'),
    jwtSvids: stats.counter('citadel_server_jwt_svids_total', 'JWT-SVIDs asked for.', ['outcome']),
    rootExpirySeconds: stats.gauge('citadel_server_root_cert_expiry_timestamp', 'When the root certificate ends, seconds since the epoch.').labels(),
    expirySeconds: stats.gauge('citadel_ca_cert_expiry_timestamp', 'When a certificate of the authority ends, seconds since the epoch; of each role the nearest.', ['role']),
    expiryWithinDays: stats.gauge('citadel_ca_cert_ends_within_days', 'Within how many days a certificate of the authority ends: 30, 14 or 7; 0 when it has ended, -1 when it is far.', ['role']),
    revoked: stats.gauge('citadel_server_revoked_certs', 'Certificates that are revoked and have not ended.').labels(),
    leader: stats.gauge('citadel_server_leader', '1 while this citadel changes the authority of all that share its keystore.').labels(),
    authorityStale: stats.gauge('citadel_server_authority_stale', '1 while the authority in place could not be taken over and an earlier one signs.').labels(),
    limited: stats.counter('meltemi_citadel_clients_limited_total', 'Connections and calls refused because their client had enough already.', ['reason']),
    rotationPhase: stats.gauge('citadel_server_root_rotation_phase', 'Of a change of the root: 0 none, 1 the new root is distributed, 2 it signs, 3 the old one is retired.').labels(),
    rotationLagging: stats.gauge('citadel_server_root_rotation_lagging', 'How many proxies and other callers the next step of a root rotation has to wait for.').labels(),
  };
}

export function rotationPhaseNumber(phase: RotationPhase | undefined): number {
  return phase === undefined ? 0 : rotationPhases.indexOf(phase) + 1;
}

import { connectionOptions } from '@meltemi/identity-edge';
import { reportConnections } from '@meltemi/mixer-edge';
import { isLoopback, StartError, formatAddress, type OptionSpec, type OptionValues } from '@meltemi/observe-edge';

/** Flags of the telemetry program; the common ones come from the frame. */
export const options = [
  { name: 'listen', type: 'address', default: '127.0.0.1:15030', description: 'access log service (Envoy ALS, gRPC) over mTLS' },
  { name: 'insecure-listen', type: 'address', description: 'access log service in plaintext, loopback only: every sender is believed' },
  { name: 'own-prometheus', type: 'bool', description: 'count the istio_* metrics here; defaultProviders.metrics in MeshConfig switches the proxies off' },
  { name: 'citadel-address', type: 'string', placeholder: 'host:port', description: 'where certificates come from; without it there is no mTLS port' },
  { name: 'join-token-file', type: 'string', placeholder: 'file', description: 'token for the first certificate, read again for each attempt: a join token, or one of a Kubernetes service account or an OpenID issuer' },
  { name: 'root-cert-file', type: 'string', placeholder: 'file', description: "root certificate of the mesh, PEM, read again for each attempt; for tokens that are no join tokens, as Istio's /var/run/secrets/istio/root-cert.pem" },
  { name: 'state-dir', type: 'string', placeholder: 'folder', description: 'keeps key and certificate, so that a restart needs no new token' },
  { name: 'trust-domain', type: 'string', default: 'cluster.local', description: 'trust domain of the mesh' },
  { name: 'max-edges', type: 'int', min: 1, max: 100_000, default: '2000', description: 'edges of the service graph; more are dropped and counted' },
  { name: 'max-requests', type: 'int', min: 0, max: 100_000, default: '1000', description: 'different requests kept for meltemi diff, without headers and queries; 0 keeps none' },
  { name: 'max-accesses', type: 'int', min: 0, max: 1_000_000, default: '10000', description: 'different accesses kept for meltemi authz suggest, without headers and queries; 0 keeps none' },
  { name: 'access-idle-timeout', type: 'duration', default: '24h', description: 'accesses that were not repeated for so long are forgotten' },
  { name: 'edge-idle-timeout', type: 'duration', default: '15m', description: 'edges and requests without traffic for so long are forgotten' },
  ...connectionOptions(reportConnections),
] as const satisfies readonly OptionSpec[];

export type TelemetryOptions = OptionValues<typeof options>;

/** What no single flag can say wrong: throws StartError. */
export function checkOptions(values: TelemetryOptions): void {
  const insecure = values['insecure-listen'];
  if (insecure && !isLoopback(insecure.host)) throw new StartError(`--insecure-listen ${formatAddress(insecure)}: plaintext is served on loopback only; use --listen with mTLS for other machines`, { exitCode: 2 });
  if (values['citadel-address'] === undefined && !insecure)
    throw new StartError('nobody could send reports: give --citadel-address HOST:PORT (and --join-token-file for the first start) for mTLS, or --insecure-listen 127.0.0.1:15030 for plaintext on this machine', { exitCode: 2 });
}

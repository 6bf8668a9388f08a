import { etcdFlags } from '@meltemi/config-edge/etcd';
import { connectionOptions } from '@meltemi/identity-edge';
import { formatAddress, isLoopback, StartError, type OptionSpec, type OptionValues } from '@meltemi/observe-edge';
import { defaultAdsLimits } from '@meltemi/xds-edge';

/** Pilot's flags; the common ones come from the frame. */
export const options = [
  { name: 'config-dir', type: 'list', placeholder: 'path', description: 'directory or file of YAML to read configuration and registry from, watched, never written; may be repeated' },
  { name: 'mesh-config', type: 'string', placeholder: 'file', description: "file with Istio's MeshConfig, watched" },
  { name: 'store', type: 'string', placeholder: 'url', description: 'where applied objects are kept: dir:PATH, etcd://host:port[,host:port][/root], etcds:// for TLS (default: dir:<state-dir>/store)' },
  ...etcdFlags,
  { name: 'state-dir', type: 'string', default: '.meltemi/pilot', placeholder: 'folder', description: 'embedded store, and key and certificate across restarts' },
  { name: 'listen', type: 'address', default: '127.0.0.1:15012', description: 'xDS over mTLS' },
  { name: 'plaintext-listen', type: 'address', description: 'xDS in plaintext, loopback only, never secrets (Istio: 127.0.0.1:15010); off unless given' },
  { name: 'config-listen', type: 'address', description: 'config API over mTLS (ARCHITECTURE: 127.0.0.1:15016); off unless given' },
  { name: 'config-allow', type: 'list', placeholder: 'spiffe-id', description: 'identities that may do everything over mTLS (cluster-admin); for less use --config-rbac' },
  { name: 'config-rbac', type: 'list', placeholder: 'path', description: "file or directory of Kubernetes' Roles, ClusterRoles and their bindings (rbac.authorization.k8s.io/v1): who may do what over mTLS; watched" },
  { name: 'audit-log', type: 'string', placeholder: 'file', description: 'file for one JSON line per change of the configuration, made or refused; the log has them in any case' },
  { name: 'config-socket', type: 'string', placeholder: 'path', description: 'config API on a Unix socket, for its owner only' },
  { name: 'pilot-name', type: 'string', env: ['POD_NAME'], description: "what this pilot is called in proxy-status and to other pilots over the same store (default: the host's name)" },
  { name: 'peer-listen', type: 'address', description: 'where other pilots over the same etcd store ask this one, over mTLS (default: any port of the host of --listen)' },
  { name: 'peer-address', type: 'address', description: 'the address of --peer-listen that other pilots are told; port 0: its own (default: where it is bound)' },
  { name: 'citadel-address', type: 'string', placeholder: 'host:port', description: 'where certificates come from; without it there is no mTLS port' },
  { name: 'join-token-file', type: 'string', placeholder: 'file', description: 'token for the first certificate, read again for each attempt: a join token, or one of a Kubernetes service account or an OpenID issuer' },
  { name: 'root-cert-file', type: 'string', placeholder: 'file', description: "root certificate of the mesh, PEM, read again for each attempt; for tokens that are no join tokens, as Istio's /var/run/secrets/istio/root-cert.pem" },
  { name: 'trust-domain', type: 'string', default: 'cluster.local', description: 'trust domain of the mesh' },
  { name: 'cluster-id', type: 'string', default: 'Kubernetes', description: 'name of the cluster whose registry this is' },
  { name: 'domain', type: 'string', default: 'cluster.local', description: 'DNS suffix of services' },
  { name: 'debounce-after', type: 'duration', default: '100ms', env: ['PILOT_DEBOUNCE_AFTER'], description: 'quiet time after a change before it is pushed' },
  { name: 'debounce-max', type: 'duration', default: '10s', env: ['PILOT_DEBOUNCE_MAX'], description: 'longest a change waits for quiet' },
  { name: 'admission-tests', type: 'choice', choices: ['off', 'warn', 'enforce'], default: 'off', description: 'hold changes against the expectations (kind: MeshTest) that stand with the configuration: tell what would break, or refuse it' },
  { name: 'admission-test-program', type: 'string', default: 'meltemi', placeholder: 'path', description: 'the command line, which runs the expectations' },
  { name: 'admission-test-timeout', type: 'duration', default: '20s', description: 'longest the expectations of one change may take' },
  { name: 'reconnect-grace', type: 'duration', default: '5s', description: 'how long a waiting apply expects proxies back that lost their connection, or ours when we restarted' },
  { name: 'max-streams-per-client', type: 'int', min: 1, max: 100_000, default: String(defaultAdsLimits.maxStreamsPerClient), description: 'xDS streams of one identity, or of one address without one, at the same time' },
  ...connectionOptions(defaultAdsLimits.connections),
] as const satisfies readonly OptionSpec[];

export type PilotOptions = OptionValues<typeof options>;

/** What no single flag can say wrong: throws StartError. */
export function checkOptions(values: PilotOptions): void {
  const plain = values['plaintext-listen'];
  if (plain && !isLoopback(plain.host)) throw new StartError(`--plaintext-listen ${formatAddress(plain)}: plaintext is served on loopback only; other machines use --listen with mTLS`, { exitCode: 2 });
  if (values['citadel-address'] === undefined && !plain)
    throw new StartError('no proxy could connect: give --citadel-address HOST:PORT (and --join-token-file for the first start) for xDS over mTLS, or --plaintext-listen 127.0.0.1:15010 for this machine', { exitCode: 2 });
  if (values['config-listen'] && values['citadel-address'] === undefined) throw new StartError('--config-listen serves over mTLS: give --citadel-address too, or use --config-socket', { exitCode: 2 });
}

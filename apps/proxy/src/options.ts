import { keyAlgorithms } from '@meltemi/identity';
import { isLoopback, StartError, type OptionSpec, type OptionValues } from '@meltemi/observe-edge';
import type { ProgramDrain } from '@meltemi/proxy-edge';

/** Envoy's flags first, under Envoy's names; then those of a mesh proxy that runs from pilot. The common ones come from the frame. */
export const options = [
  { name: 'config-path', short: 'c', type: 'string', placeholder: 'file', description: 'Envoy v3 bootstrap, YAML or JSON: run from it, without the mesh' },
  { name: 'config-yaml', type: 'string', placeholder: 'text', description: 'bootstrap as text, laid over --config-path' },
  { name: 'mode', type: 'choice', choices: ['serve', 'validate', 'init_only'], default: 'serve', description: 'validate: check the bootstrap and exit; init_only: start up, then exit' },
  { name: 'concurrency', type: 'int', min: 0, max: 256, description: "worker threads that share the listeners; 0 means one per core (default: the ProxyConfig's, else 1)" },
  { name: 'log-level', short: 'l', type: 'choice', choices: ['trace', 'debug', 'info', 'warn', 'warning', 'error', 'critical', 'off'], default: 'info', description: 'least severe level that is logged', placeholder: 'level' },
  { name: 'log-path', type: 'string', placeholder: 'file', description: 'file the log is appended to, instead of standard error' },
  { name: 'component-log-level', type: 'string', description: 'accepted; there is one level for all' },
  { name: 'service-node', type: 'string', env: ['ISTIO_SERVICE_NODE'], placeholder: 'id', description: 'node id: type~IP~pod.namespace~domain' },
  { name: 'service-cluster', type: 'string', placeholder: 'name', description: 'node cluster' },
  { name: 'service-zone', type: 'string', placeholder: 'zone', description: "zone of the node's locality" },
  { name: 'drain-time-s', type: 'int', min: 0, max: 86_400, description: 'how long replaced and drained listeners finish their connections (default: 600 from a bootstrap as in Envoy, 45 in the mesh as in Istio)' },
  { name: 'parent-shutdown-time-s', type: 'int', min: 0, max: 86_400, description: 'accepted; there is no hot restart' },
  { name: 'drain-strategy', type: 'choice', choices: ['gradual', 'immediate'], description: 'how they ask clients to leave: more and more of the responses, or all (default: gradual from a bootstrap as in Envoy, immediate in the mesh as in Istio); at SIGTERM always all' },
  { name: 'drain-timeout', type: 'duration', default: '10s', description: "how long SIGTERM waits for work under way, where the ProxyConfig's terminationDrainDuration says nothing else" },
  { name: 'minimum-drain-duration', type: 'duration', env: ['MINIMUM_DRAIN_DURATION'], default: '5s', description: "how long a sidecar's outbound listeners stay open after SIGTERM, even when idle" },
  { name: 'exit-on-zero-active-connections', type: 'bool', env: ['EXIT_ON_ZERO_ACTIVE_CONNECTIONS'], default: 'true', description: 'a sidecar ends after that when nothing is connected; false: not before --drain-timeout' },
  { name: 'drain-quiet-time', type: 'duration', default: '1s', description: 'how long nothing may be connected before that end' },
  { name: 'base-id', type: 'int', description: 'accepted; there is no hot restart' },
  { name: 'use-dynamic-base-id', type: 'bool', description: 'accepted' },
  { name: 'restart-epoch', type: 'int', description: 'accepted; there is no hot restart' },
  { name: 'disable-hot-restart', type: 'bool', description: 'accepted; there is no hot restart' },
  { name: 'enable-core-dump', type: 'bool', description: 'accepted' },
  { name: 'admin-address-path', type: 'string', placeholder: 'file', description: 'writes the bound admin address' },
  { name: 'local-address-ip-version', type: 'choice', choices: ['v4', 'v6'], description: 'accepted' },
  { name: 'bootstrap-version', type: 'int', min: 3, max: 3, description: 'only 3' },
  { name: 'allow-unknown-static-fields', type: 'bool', description: 'accepted; unknown fields are refused all the same' },
  { name: 'reject-unknown-dynamic-fields', type: 'bool', description: 'accepted' },
  { name: 'ignore-unknown-dynamic-fields', type: 'bool', description: 'accepted' },
  { name: 'file-flush-interval-msec', type: 'int', min: 1, max: 3_600_000, default: '1000', description: 'how long access log lines wait to be written together' },
  { name: 'allow-plaintext-xds', type: 'bool', description: 'xDS servers that a bootstrap names may be reached without TLS beyond loopback' },
  { name: 'allow-filters-from', type: 'list', placeholder: 'folders', description: "folders that users' own HTTP filters may be loaded from; they run in this process with all its rights" },
  { name: 'discovery-address', type: 'string', placeholder: 'host:port', description: "pilot's xDS port: run as a mesh proxy" },
  { name: 'workload-dir', type: 'string', placeholder: 'folder', description: 'run as a mesh proxy from the files of `meltemi workload entry configure` (cluster.env, mesh.yaml, istio-token, root-cert.pem); flags and environment go first' },
  { name: 'discovery-plaintext', type: 'bool', description: 'no mTLS to pilot, which must be on loopback' },
  { name: 'citadel-address', type: 'string', placeholder: 'host:port', description: 'where the certificate comes from' },
  { name: 'join-token-file', type: 'string', placeholder: 'file', description: 'token for the first certificate, read again for each attempt: a join token, or one of a Kubernetes service account or an OpenID issuer' },
  { name: 'root-cert-file', type: 'string', placeholder: 'file', description: "root certificate of the mesh, PEM, read again for each attempt; for tokens that are no join tokens, as Istio's /var/run/secrets/istio/root-cert.pem" },
  { name: 'state-dir', type: 'string', placeholder: 'folder', description: 'keeps key and certificate, so that a restart needs no new token' },
  { name: 'workload-key-algorithm', type: 'choice', choices: keyAlgorithms, default: 'ecdsa-p256', description: "key of the workload's certificate" },
  { name: 'workload-socket', type: 'string', placeholder: 'file', description: "Unix socket (mode 0600) where other programs of this workload get its identity: Envoy's SDS (default, ROOTCA) and the SPIFFE Workload API; default: none" },
  { name: 'workload-socket-group', type: 'int', min: 0, max: 4_294_967_294, placeholder: 'gid', description: 'members of this group may connect to --workload-socket too (mode 0660)' },
  { name: 'trust-domain', type: 'string', placeholder: 'domain', description: "trust domain of the mesh (default: TRUST_DOMAIN of --workload-dir's cluster.env, else cluster.local)" },
  { name: 'listen-address', type: 'string', placeholder: 'ip', description: "where admin, health and Prometheus ports bind (default: the node's address when it is a loopback one, else 127.0.0.1)" },
  { name: 'admin-port', type: 'int', min: 0, max: 65_535, default: '15000', description: 'admin port of a mesh proxy; 0 means any' },
  { name: 'admin-socket', type: 'string', placeholder: 'file', description: 'Unix socket (mode 0600) for the admin pages, in place of a port' },
  { name: 'health-port', type: 'int', min: 0, max: 65_535, default: '15021', description: 'GET /healthz/ready' },
  { name: 'dns-proxy-address', type: 'string', env: ['DNS_PROXY_ADDR'], default: 'localhost:15053', placeholder: 'host:port', description: 'DNS server of a sidecar with ISTIO_META_DNS_CAPTURE=true; port 0 means any' },
  { name: 'dns-forward-parallel', type: 'bool', env: ['DNS_FORWARD_PARALLEL'], description: 'names that the mesh does not know are asked of all name servers at once' },
  { name: 'dns-forward-timeout', type: 'duration', env: ['DNS_FORWARD_TIMEOUT'], default: '5s', description: 'how long one name server may take' },
  { name: 'resolv-conf', type: 'string', default: '/etc/resolv.conf', placeholder: 'file', description: 'where name servers and search domains stand' },
  { name: 'prometheus-port', type: 'int', min: 0, max: 65_535, default: '15090', description: 'GET /stats/prometheus' },
] as const satisfies readonly OptionSpec[];

export type ProxyOptions = OptionValues<typeof options>;

/** Where nothing is said: as Envoy has it by itself, and as Istio starts it. */
export const drainDefaults = { bootstrap: { seconds: 600, strategy: 'gradual' }, mesh: { seconds: 45, strategy: 'immediate' } } as const;

/** How the program drains at its end. */
export function programDrain(values: ProxyOptions, deadlineMs: number): ProgramDrain {
  const minimumMs = values['exit-on-zero-active-connections'] ? values['minimum-drain-duration'] : deadlineMs;
  return { deadlineMs, minimumMs, quietMs: values['drain-quiet-time'] };
}

/** What this proxy runs from. */
export type Role = 'bootstrap' | 'mesh';

/** Decides the role and refuses combinations that cannot work. */
export function roleOf(values: ProxyOptions): Role {
  const bootstrap = values['config-path'] !== undefined || values['config-yaml'] !== undefined;
  const discovery = values['discovery-address'];
  if (bootstrap && discovery !== undefined) throw usage('-c runs from a bootstrap and --discovery-address from pilot: give one of them');
  if (values['workload-socket-group'] !== undefined && values['workload-socket'] === undefined) throw usage('--workload-socket-group has no effect without --workload-socket');
  if (bootstrap && values['workload-socket'] !== undefined) throw usage('--workload-socket serves the identity that citadel gives: a proxy that runs from a bootstrap has none');
  if (bootstrap) return 'bootstrap';
  if (discovery === undefined) throw usage('nothing to run: give -c BOOTSTRAP (an Envoy v3 bootstrap), or --discovery-address HOST:PORT and --service-node to run from pilot');
  if (values['service-node'] === undefined) throw usage('--service-node is required with --discovery-address, like sidecar~10.0.0.1~app-0.default~default.svc.cluster.local');
  const host = discovery.slice(0, Math.max(0, discovery.lastIndexOf(':')));
  if (values['discovery-plaintext'] && !isLoopback(host.replace(/^\[|\]$/g, ''))) throw usage(`--discovery-plaintext: ${discovery} is not a loopback address; use mTLS`);
  if (!values['discovery-plaintext'] && values['citadel-address'] === undefined) throw usage('--citadel-address is required: pilot is reached over mTLS (or --discovery-plaintext on loopback)');
  if (values['workload-socket'] !== undefined && values['citadel-address'] === undefined) throw usage('--workload-socket serves the identity that citadel gives: --citadel-address is required');
  return 'mesh';
}

/** Where the proxy's own ports bind in the mesh. */
export function ownAddress(values: ProxyOptions): string {
  const given = values['listen-address'];
  if (given !== undefined) return given;
  const ip = values['service-node']?.split('~')[1] ?? '';
  return isLoopback(ip) ? ip : '127.0.0.1';
}

export function usage(message: string): StartError {
  return new StartError(message, { exitCode: 2 });
}


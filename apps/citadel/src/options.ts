import { etcdFlags } from '@meltemi/config-edge/etcd';
import { citadelConnections } from '@meltemi/citadel-edge';
import { keyAlgorithms } from '@meltemi/identity';
import { connectionOptions } from '@meltemi/identity-edge';
import { StartError, type OptionSpec, type OptionValues } from '@meltemi/observe-edge';
import { callerOptions, checkCallerOptions } from './caller-options.ts';
import { checkUpstreamOptions, upstreamOptions } from './upstream-options.ts';
import { federationOptions } from './federation-options.ts';

/** Flags of citadel; the common ones come from the frame. */
export const options = [
  { name: 'listen', type: 'address', default: '127.0.0.1:15022', description: 'certificate service, trust bundle and health (gRPC over TLS)' },
  { name: 'state-dir', type: 'string', required: true, placeholder: 'folder', description: 'folder of this citadel: its socket, and the keystore unless --keystore says otherwise; made with mode 0700' },
  { name: 'keystore', type: 'string', placeholder: 'url', description: 'where keys and join tokens are kept: dir:PATH, or etcd://host:port[,host:port][/root] (etcds:// for TLS) for several citadels at once; root /meltemi-citadel, or kubernetes[:NAMESPACE[/NAME]] for Secrets of one citadel; namespace of the Pod, name meltemi-citadel (default: dir:<state-dir>)' },
  ...etcdFlags,
  { name: 'socket', type: 'string', placeholder: 'file', description: 'Unix socket (mode 0600) where join tokens are minted; default: citadel.sock in the state dir' },
  { name: 'keystore-passphrase-file', type: 'string', placeholder: 'file', description: 'seal the keystore (AES-256-GCM) under the passphrase in the first line of this file; a plain keystore is sealed by the first start' },
  { name: 'keystore-key-file', type: 'string', placeholder: 'file', description: 'seal the keystore under the 32 random bytes in this file, as they are or in base64' },
  { name: 'keystore-previous-passphrase-file', type: 'string', placeholder: 'file', description: 'what the keystore was sealed with until now, when one of the two above is new' },
  { name: 'keystore-previous-key-file', type: 'string', placeholder: 'file', description: 'the same, for a key file' },
  { name: 'cacerts', type: 'string', placeholder: 'folder', description: "sign with the issuing CA in this folder instead of one of citadel's own: ca-cert.pem, ca-key.pem, root-cert.pem, cert-chain.pem, as in Istio's cacerts Secret; read again every few seconds, a changed root in steps that cut nobody off" },
  { name: 'accept-cut-off', type: 'bool', description: 'with --cacerts: start even if programs that are alive do not trust the root in the folder' },
  { name: 'ca-key-algorithm', type: 'choice', choices: keyAlgorithms, default: 'ecdsa-p256', description: "keys of citadel's own root and issuing CA, when it makes them" },
  { name: 'trust-domain', type: 'string', default: 'cluster.local', description: 'trust domain of every identity issued here' },
  { name: 'workload-cert-ttl', type: 'duration', default: '24h', description: 'lifetime of a certificate when the workload asks for none' },
  { name: 'max-workload-cert-ttl', type: 'duration', default: '2160h', description: 'longest lifetime a workload can get' },
  { name: 'audit-log', type: 'string', placeholder: 'file', description: 'also write every audit line here (issued, refused, minted, revoked, changes of the authority), JSON, mode 0600; may be moved away at any time' },
  ...callerOptions,
  ...upstreamOptions,
  { name: 'max-requests-per-client', type: 'int', min: 1, max: 100_000, default: '200', description: 'calls a second of one identity, or of one address without one; five times as many at once' },
  ...connectionOptions(citadelConnections),
  ...federationOptions,
] as const satisfies readonly OptionSpec[];

export type CitadelOptions = OptionValues<typeof options>;

/** What no single flag can say wrong: throws StartError. */
export function checkOptions(values: CitadelOptions): void {
  const { 'workload-cert-ttl': lifetimeMs, 'max-workload-cert-ttl': maxMs, 'trust-domain': trustDomain } = values;
  if (lifetimeMs < 1000) throw new StartError('--workload-cert-ttl: must be at least 1s', { exitCode: 2 });
  if (lifetimeMs > maxMs) throw new StartError('--workload-cert-ttl is longer than --max-workload-cert-ttl: raise the second or lower the first', { exitCode: 2 });
  checkCallerOptions(values);
  checkUpstreamOptions(values);
  if (!/^[a-z0-9._-]{1,255}$/.test(trustDomain)) throw new StartError(`--trust-domain ${JSON.stringify(trustDomain)}: must be 1 to 255 of a-z, 0-9, '.', '-', '_'`, { exitCode: 2 });
}

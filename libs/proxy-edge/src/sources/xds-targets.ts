import { isIP } from 'node:net';
import { X509Certificate } from 'node:crypto';
import { credentials, type ChannelCredentials } from '@grpc/grpc-js';
import { err, fail, formatFieldErrors, ok, type FieldError, type Result } from '@meltemi/base';
import { VerifiedTlsCredentials } from '@meltemi/identity-edge';
import { isLoopback } from '@meltemi/observe-edge';
import type { ApiSource, Cluster, Endpoint, GoogleTls, GrpcTarget, SecretValue, UpstreamTls } from '@meltemi/snapshot';
import type { XdsTarget } from '@meltemi/xds-edge';
import { clientTls } from '../transport/tls-client.ts';

export interface XdsTargetOptions {
  /** A cluster of static_resources. */
  readonly cluster: (name: string) => Cluster | undefined;
  readonly secret: (name: string) => SecretValue | undefined;
  /** The operator allows plaintext to servers that are not on loopback. */
  readonly allowPlaintext: boolean;
}

/** The servers of an api_config_source, in the order they are tried: every endpoint of every cluster. */
export function xdsTargets(api: ApiSource, options: XdsTargetOptions): Result<[XdsTarget, ...XdsTarget[]]> {
  const errors: FieldError[] = [];
  const targets: XdsTarget[] = [];
  for (const service of api.services) {
    const found = service.kind === 'cluster' ? clusterTargets(service, options) : googleTargets(service, options);
    if (found.ok) targets.push(...found.value);
    else errors.push(...found.error);
  }
  const [first, ...rest] = targets;
  if (errors.length > 0 || !first) return err(errors);
  return ok([first, ...rest]);
}

function clusterTargets(service: Extract<GrpcTarget, { kind: 'cluster' }>, options: XdsTargetOptions): Result<XdsTarget[]> {
  const at = `cluster "${service.cluster}"`;
  const cluster = options.cluster(service.cluster);
  if (!cluster) return fail('', `names ${at}, which static_resources.clusters does not have`);
  if (cluster.discovery === 'eds' || cluster.discovery === 'original_dst') return fail('', `${at} has type ${cluster.discovery.toUpperCase()}: an xDS server's cluster is STATIC, STRICT_DNS or LOGICAL_DNS`);
  const endpoints = (cluster.loadAssignment?.priorities ?? []).flat().flatMap((locality) => locality.endpoints);
  if (endpoints.length === 0) return fail('', `${at} has no endpoints`);
  const targets: XdsTarget[] = [];
  for (const endpoint of endpoints) {
    const address = addressOf(endpoint);
    const tls = tlsOf(cluster, endpoint);
    if (!tls && !options.allowPlaintext && !isLocal(endpoint)) return fail('', plaintextRefused(`${at}: ${address}`));
    const dialed = tls ? tlsCredentials(tls, { secret: options.secret, peer: at }) : ok(() => credentials.createInsecure());
    if (!dialed.ok) return dialed;
    targets.push({ address, credentials: dialed.value, authority: service.authority || service.cluster, metadata: service.metadata });
  }
  return ok(targets);
}

function googleTargets(service: Extract<GrpcTarget, { kind: 'google' }>, options: XdsTargetOptions): Result<XdsTarget[]> {
  const host = service.target.startsWith('unix:') ? 'localhost' : service.target.slice(0, service.target.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  if (!service.tls && !options.allowPlaintext && !isLoopback(host) && host !== 'localhost') return fail('', plaintextRefused(service.target));
  const dialed = service.tls ? tlsCredentials(googleTls(service.tls, host), { secret: options.secret, peer: service.target, name: host }) : ok(() => credentials.createInsecure());
  return dialed.ok ? ok([{ address: service.target, credentials: dialed.value, metadata: service.metadata }]) : dialed;
}

function plaintextRefused(what: string): string {
  return `${what}: plaintext xDS is followed on loopback only: give the cluster a TLS transport_socket, or start with --allow-plaintext-xds`;
}

/** Google's gRPC checks the server's certificate against the name that was dialled. */
function googleTls({ rootCerts, certChain, privateKey }: GoogleTls, host: string): UpstreamTls {
  return {
    minVersion: null, maxVersion: null, ciphers: null, ecdhCurves: null, signatureAlgorithms: null, alpn: ['h2'], certificateSdsNames: [], validationSdsName: null, sni: isIP(host) === 0 ? host : '',
    certificates: certChain && privateKey ? [{ certificateChain: certChain, privateKey, password: null }] : [],
    validation: { trustedCa: rootCerts, systemRoots: rootCerts === null, crl: null, sanMatchers: [], spki: [], hashes: [], allowExpired: false, acceptUntrusted: false, maxVerifyDepth: null, trustDomains: null },
  };
}

/** Certificates are read for each connection, so that new files are used from the next one on; that they can be read is checked now. */
function tlsCredentials(tls: UpstreamTls, { secret, peer, name = '' }: { secret: (name: string) => SecretValue | undefined; peer: string; name?: string }): Result<() => ChannelCredentials> {
  const secrets = [...tls.certificateSdsNames, ...(tls.validationSdsName === null ? [] : [tls.validationSdsName])];
  const missing = secrets.find((each) => secret(each) === undefined);
  if (missing !== undefined) return fail('', `${peer}: secret "${missing}" must be one of static_resources.secrets: an xDS server's cluster cannot wait for others`);
  const context = () => {
    const made = clientTls(tls, secret);
    if (!made.ok) throw new Error(`${peer}: ${formatFieldErrors(made.error)}`);
    return made.value;
  };
  const first = clientTls(tls, secret);
  if (!first.ok) return fail('', `${peer}: ${formatFieldErrors(first.error)}`);
  return ok(() => {
    const current = context();
    return new VerifiedTlsCredentials({
      ready: () => Promise.resolve(),
      context: () => {
        const { secureContext, rejectUnauthorized, servername } = current.connectOptions('', ['h2']);
        return { ...(secureContext && { secureContext }), ...(rejectUnauthorized !== undefined && { rejectUnauthorized }), ...(servername !== undefined && { servername }) };
      },
      verify: ([leaf]) => {
        const refused = current.refusal(leaf && new X509Certificate(leaf.der), name);
        return refused === null ? ok(undefined) : fail('', refused);
      },
    });
  });
}

function tlsOf(cluster: Cluster, endpoint: Endpoint): UpstreamTls | null {
  const labels = endpoint.metadata?.['envoy.transport_socket_match'];
  const wanted = cluster.transportSocketMatches.find((each) => Object.entries(each.match).every(([key, value]) => labels?.[key] === value));
  return wanted ? wanted.tls : cluster.tls;
}

function addressOf({ target }: Endpoint): string {
  if (target.kind === 'pipe') return `unix:${target.path}`;
  return `${target.address.includes(':') ? `[${target.address}]` : target.address}:${target.port}`;
}

function isLocal({ target }: Endpoint): boolean {
  return target.kind === 'pipe' || isLoopback(target.address) || target.address === 'localhost';
}

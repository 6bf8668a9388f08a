import type { ClientTlsSettings, MeshConfigSpec, ServerTlsSettings } from '@meltemi/config';
import type { TransportSocket } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { DataSource } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { CertificateValidationContext, CertificateValidationContext_TrustChainVerification as TrustChainVerification, TlsCertificate, TlsParameters, TlsParameters_TlsProtocol } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/common.ts';
import { CommonTlsContext, DownstreamTlsContext, UpstreamTlsContext } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import type { SdsSecretConfig } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { create, createAny, grpcSource, secretsSource, typed } from './message.ts';

/** Secret names every workload's SDS server knows. */
const ownCertificate = 'default';
const meshRoot = 'ROOTCA';

/** Cipher suites for TLS 1.2 inside the mesh. Source: Istio's SupportedCiphers. */
const meshCiphers: readonly string[] = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
];

const tlsTypes = 'envoy.extensions.transport_sockets.tls.v3.';

/** Where TLS stands in a listener or cluster. */
export function tlsSocket(context: { readonly upstream: UpstreamTlsContext } | { readonly downstream: DownstreamTlsContext }): TransportSocket {
  const any =
    'upstream' in context
      ? createAny(`${tlsTypes}UpstreamTlsContext`, UpstreamTlsContext, context.upstream)
      : createAny(`${tlsTypes}DownstreamTlsContext`, DownstreamTlsContext, context.downstream);
  return typed('envoy.transport_sockets.tls', any);
}

/**
 * The client's side of mesh mTLS: `accounts` are the SPIFFE ids the server may have; none means any identity of the mesh. Deviation: where other trust
 * domains are federated, that is any of our own trust domain and its aliases; servers of others are named, by DestinationRule or ServiceEntry.
 */
export function istioMutualUpstream(options: { readonly sni: string; readonly accounts: readonly string[]; readonly http2: boolean; readonly mesh: MeshConfigSpec }): UpstreamTlsContext {
  const { mesh, accounts } = options;
  const ours = accounts.length > 0 || federatedDomains(mesh).length === 0 ? [] : [mesh.trustDomain, ...mesh.trustDomainAliases].map(inTrustDomain);
  const common = create(CommonTlsContext, {
    tlsParams: create(TlsParameters, { tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2, tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3 }),
    tlsCertificateSdsSecretConfigs: [workloadSecret(ownCertificate)],
    validationContextType: combinedValidation([...accounts.map(exactly), ...ours], workloadSecret(meshRoot)),
    alpnProtocols: options.http2 ? ['istio-peer-exchange', 'istio', 'h2'] : ['istio-peer-exchange', 'istio'],
  });
  return create(UpstreamTlsContext, { commonTlsContext: common, sni: options.sni });
}

/** What a server needs to know besides its own settings. */
interface ServerOptions {
  readonly mesh: MeshConfigSpec;
  /** The chain speaks HTTP; else it passes bytes. */
  readonly http: boolean;
  readonly proxy: Pick<Proxy, 'http2'>;
  /** Names that clients of mesh mTLS must have; none means any that the mesh's root vouches for. Default: any of the trust domain and its aliases. */
  readonly subjectAltNames?: readonly string[];
}

/** Nobody is offered what the proxy cannot speak. */
function httpProtocols({ proxy }: ServerOptions): string[] {
  return proxy.http2 ? ['h2', 'http/1.1'] : ['http/1.1'];
}

/**
 * The server's side of mesh mTLS. Deviation: "istio" ends the ALPN list. Clients always offer it, and a TLS stack that refuses a handshake
 * without common ALPN (Node's does) then has one; peers that offer h2 or http/1.1 get what Istio gives them.
 */
export function istioMutualDownstream(options: ServerOptions): DownstreamTlsContext {
  const { mesh } = options;
  const domains = [...new Set([mesh.trustDomain, ...mesh.trustDomainAliases, ...federatedDomains(mesh)])];
  const common = create(CommonTlsContext, {
    tlsParams: create(TlsParameters, {
      tlsMinimumProtocolVersion: mesh.meshMTLS?.minProtocolVersion === 'TLSV1_3' ? TlsParameters_TlsProtocol.TLSv1_3 : TlsParameters_TlsProtocol.TLSv1_2,
      tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3,
      cipherSuites: [...(mesh.meshMTLS && mesh.meshMTLS.cipherSuites.length > 0 ? mesh.meshMTLS.cipherSuites : meshCiphers)],
      ecdhCurves: [...(mesh.meshMTLS?.ecdhCurves ?? [])],
    }),
    tlsCertificateSdsSecretConfigs: [workloadSecret(ownCertificate)],
    validationContextType: combinedValidation(options.subjectAltNames?.map(exactly) ?? domains.map(inTrustDomain), workloadSecret(meshRoot)),
    alpnProtocols: [...(options.http ? [] : ['istio-peer-exchange']), ...httpProtocols(options), 'istio'],
  });
  return create(DownstreamTlsContext, { commonTlsContext: common, requireClientCertificate: true });
}

/** Other trust domains whose identities may come in: each proxy knows by which roots. Policies tell them apart, aliases not. */
function federatedDomains(mesh: MeshConfigSpec): readonly string[] {
  return mesh.caCertificates.flatMap(({ trustDomains }) => trustDomains);
}

/** TLS a client originates itself (DestinationRule SIMPLE or MUTUAL). `http2` asks for h2 by ALPN. */
export function originatedUpstream(settings: ClientTlsSettings, options: { readonly http2: boolean; readonly fallbackNames: readonly string[]; readonly mesh: MeshConfigSpec }): UpstreamTlsContext {
  const names = settings.subjectAltNames.length > 0 ? settings.subjectAltNames : options.fallbackNames;
  const mutual = settings.mode === 'MUTUAL';
  const credential = settings.credentialName;
  const { cipherSuites = [], ecdhCurves = [] } = options.mesh.tlsDefaults ?? {};
  const common = create(CommonTlsContext, {
    tlsParams: create(TlsParameters, { tlsMinimumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_2, tlsMaximumProtocolVersion: TlsParameters_TlsProtocol.TLSv1_3, cipherSuites: [...cipherSuites], ecdhCurves: [...ecdhCurves] }),
    tlsCertificateSdsSecretConfigs: mutual && credential !== '' ? [credentialSecret(credential)] : [],
    tlsCertificates: mutual && credential === '' ? [certificateFiles(settings.clientCertificate, settings.privateKey)] : [],
    alpnProtocols: options.http2 ? ['h2'] : [],
  });
  const matchers = names.map(exactly);
  if (settings.insecureSkipVerify !== true && credential !== '') common.validationContextType = combinedValidation(matchers, credentialSecret(`${credential}-cacert`));
  else if (settings.insecureSkipVerify === true) common.validationContextType = { $case: 'validationContext', value: create(CertificateValidationContext) };
  else common.validationContextType = { $case: 'validationContext', value: fileValidation(settings.caCertificates, settings.caCrl, matchers) };
  return create(UpstreamTlsContext, { commonTlsContext: common, sni: settings.sni });
}

/** A gateway server's (or a Sidecar ingress listener's) own TLS. Without a context: PASSTHROUGH and AUTO_PASSTHROUGH do not terminate. */
export function serverDownstream(settings: ServerTlsSettings, options: ServerOptions): DownstreamTlsContext | undefined {
  if (settings.mode === 'PASSTHROUGH' || settings.mode === 'AUTO_PASSTHROUGH') return undefined;
  if (settings.mode === 'ISTIO_MUTUAL') return istioMutualDownstream({ ...options, subjectAltNames: settings.subjectAltNames });
  const mutual = settings.mode === 'MUTUAL' || settings.mode === 'OPTIONAL_MUTUAL';
  const defaults = options.mesh.tlsDefaults;
  const common = create(CommonTlsContext, {
    tlsParams: create(TlsParameters, {
      tlsMinimumProtocolVersion: protocolVersion(settings.minProtocolVersion, defaults?.minProtocolVersion === 'TLSV1_3' ? TlsParameters_TlsProtocol.TLSv1_3 : TlsParameters_TlsProtocol.TLSv1_2),
      tlsMaximumProtocolVersion: protocolVersion(settings.maxProtocolVersion, TlsParameters_TlsProtocol.TLS_AUTO),
      cipherSuites: [...(settings.cipherSuites.length > 0 ? settings.cipherSuites : (defaults?.cipherSuites ?? []))],
      ecdhCurves: [...(settings.ecdhCurves ?? defaults?.ecdhCurves ?? [])],
    }),
    ...serverCertificates(settings),
    alpnProtocols: options.http ? httpProtocols(options) : [],
  });
  if (mutual) common.validationContextType = serverValidation(settings);
  // an optional client certificate is still checked when it is there: Envoy rejects bad ones unless told otherwise
  return create(DownstreamTlsContext, { commonTlsContext: common, requireClientCertificate: settings.mode === 'MUTUAL' });
}

function serverCertificates(settings: ServerTlsSettings): Pick<CommonTlsContext, 'tlsCertificateSdsSecretConfigs' | 'tlsCertificates'> {
  const names = settings.credentialNames.length > 0 ? settings.credentialNames : settings.credentialName !== '' ? [settings.credentialName] : [];
  if (names.length > 0) return { tlsCertificateSdsSecretConfigs: names.map(credentialSecret), tlsCertificates: [] };
  const files = settings.tlsCertificates.length > 0 ? settings.tlsCertificates : [settings];
  return { tlsCertificateSdsSecretConfigs: [], tlsCertificates: files.map((entry) => certificateFiles(entry.serverCertificate, entry.privateKey)) };
}

/** The CA is the named one, else that of the first credential, else a file. */
function serverValidation(settings: ServerTlsSettings): NonNullable<CommonTlsContext['validationContextType']> {
  const own = settings.credentialNames[0] ?? settings.credentialName;
  const name = settings.caCertCredentialName !== '' ? settings.caCertCredentialName : own !== '' ? `${own}-cacert` : '';
  const matchers = settings.subjectAltNames.map(exactly);
  const pinned = {
    verifyCertificateSpki: [...settings.verifyCertificateSpki],
    verifyCertificateHash: [...settings.verifyCertificateHash],
    ...(settings.insecureSkipVerify === true ? { trustChainVerification: TrustChainVerification.ACCEPT_UNTRUSTED } : {}),
  };
  if (name === '') return { $case: 'validationContext', value: { ...fileValidation(settings.caCertificates, settings.caCrl, matchers), ...pinned } };
  return combinedValidation(matchers, credentialSecret(name), pinned);
}

function combinedValidation(matchers: readonly StringMatcher[], secret: SdsSecretConfig, extra: Partial<CertificateValidationContext> = {}): NonNullable<CommonTlsContext['validationContextType']> {
  const defaults = create(CertificateValidationContext, { matchSubjectAltNames: [...matchers], ...extra });
  return { $case: 'combinedValidationContext', value: { defaultValidationContext: defaults, validationContextSdsSecretConfig: secret } };
}

/** "" is the system's own roots. */
function fileValidation(path: string, crl: string, matchers: readonly StringMatcher[]): CertificateValidationContext {
  return create(CertificateValidationContext, {
    ...(path === '' || path === 'system' ? { systemRootCerts: {} } : { trustedCa: file(path) }),
    ...(crl === '' ? {} : { crl: file(crl) }),
    matchSubjectAltNames: [...matchers],
  });
}

function certificateFiles(chain: string, key: string): TlsCertificate {
  return create(TlsCertificate, { certificateChain: file(chain), privateKey: file(key) });
}

function file(filename: string): DataSource {
  return create(DataSource, { specifier: { $case: 'filename', value: filename } });
}

function workloadSecret(name: string): SdsSecretConfig {
  return { name, sdsConfig: grpcSource('sds-grpc') };
}

/** A Secret, served by the control plane: by default one of the gateway's namespace. `builtin://` is the gateway's own identity. Source: Istio's ToResourceName. */
function credentialSecret(name: string): SdsSecretConfig {
  if (name === 'builtin://') return workloadSecret(ownCertificate);
  if (name === 'builtin://-cacert') return workloadSecret(meshRoot);
  const written = name.replace(/^sds:\/\//, '');
  return { name: /^(kubernetes|kubernetes-gateway|configmap):\/\//.test(written) ? written : `kubernetes://${written}`, sdsConfig: secretsSource() };
}

function inTrustDomain(domain: string): StringMatcher {
  return create(StringMatcher, { matchPattern: { $case: 'prefix', value: `spiffe://${domain}/` } });
}

function exactly(value: string): StringMatcher {
  return create(StringMatcher, { matchPattern: { $case: 'exact', value } });
}

const versions = {
  TLS_AUTO: TlsParameters_TlsProtocol.TLS_AUTO,
  TLSV1_0: TlsParameters_TlsProtocol.TLSv1_0,
  TLSV1_1: TlsParameters_TlsProtocol.TLSv1_1,
  TLSV1_2: TlsParameters_TlsProtocol.TLSv1_2,
  TLSV1_3: TlsParameters_TlsProtocol.TLSv1_3,
} as const;

function protocolVersion(written: keyof typeof versions, fallback: TlsParameters_TlsProtocol): TlsParameters_TlsProtocol {
  return written === 'TLS_AUTO' ? fallback : versions[written];
}

import { list, object, strings } from '../../schema/containers.ts';
import { bool, duration, oneOf, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { clientTls, tcpKeepalive } from '../destination-rule/schema.ts';
import type { ClientTlsSettings, TcpKeepalive } from '../destination-rule/types.ts';
import { labelSelector } from '../schema.ts';
import type { DurationMs, LabelSelector } from '../types.ts';

// Messages of MeshConfig and ProxyConfig that few installations set.

/** Roots trusted besides the mesh's own; exactly one of the first two is set. */
export interface CertificateData {
  readonly pem?: string;
  readonly spiffeBundleUrl?: string;
  readonly certSigners: readonly string[];
  readonly trustDomains: readonly string[];
}

export interface ConfigSource {
  readonly address: string;
  readonly tlsSettings?: ClientTlsSettings;
  readonly subscribedResources: readonly 'SERVICE_REGISTRY'[];
}

export interface ServiceScopeConfig {
  readonly namespaceSelector?: LabelSelector;
  readonly servicesSelector?: LabelSelector;
  readonly scope: 'LOCAL' | 'GLOBAL';
}

export interface ExternalCa {
  readonly address: string;
  readonly tlsSettings?: ClientTlsSettings;
  readonly requestTimeout?: DurationMs;
  readonly istiodSide: boolean;
}

type Visibility = (typeof visibilities)[number];

/** Which ServiceEntries of other namespaces count. */
export interface ServiceEntryVisibility {
  readonly defaultVisibility: Visibility;
  readonly applyToSidecars: boolean;
  readonly policies: readonly { readonly visibility: Visibility; readonly matchingRules: readonly { readonly namespaceSelector?: LabelSelector }[] }[];
}

/** A gRPC service outside of the mesh's registry: "host:port". */
export interface RemoteService {
  readonly address: string;
  readonly tlsSettings?: ClientTlsSettings;
  readonly tcpKeepalive?: TcpKeepalive;
}

/** Exactly one is set. */
export interface PrivateKeyProvider {
  readonly cryptomb?: KeyAccelerator;
  readonly qat?: KeyAccelerator;
}

export interface KeyAccelerator {
  readonly pollDelay: DurationMs;
  readonly fallback?: boolean;
}

const visibilities = ['VISIBILITY_UNSPECIFIED', 'NONE', 'NAMESPACE', 'PUBLIC'] as const;

export const certificateData = object<CertificateData>(
  { pem: optional(string()), spiffeBundleUrl: optional(string()), certSigners: strings(), trustDomains: strings() },
  { oneofs: [{ keys: ['pem', 'spiffeBundleUrl'] }] },
);

export const configSource = object<ConfigSource>({ address: string(), tlsSettings: optional(clientTls), subscribedResources: list(oneOf(['SERVICE_REGISTRY'])) });

export const dnsCertificate = object<{ readonly secretName: string; readonly dnsNames: readonly string[] }>({ secretName: string(), dnsNames: strings() });

export const serviceScopeConfig = object<ServiceScopeConfig>({
  namespaceSelector: optional(labelSelector),
  servicesSelector: optional(labelSelector),
  scope: oneOf(['LOCAL', 'GLOBAL']),
});

export const externalCa = object<ExternalCa>({ address: string(), tlsSettings: optional(clientTls), requestTimeout: optional(duration()), istiodSide: bool() });

export const serviceEntryVisibility = object<ServiceEntryVisibility>({
  defaultVisibility: oneOf(visibilities),
  applyToSidecars: bool(),
  policies: list(
    object<ServiceEntryVisibility['policies'][number]>({
      visibility: oneOf(visibilities),
      matchingRules: list(object<ServiceEntryVisibility['policies'][number]['matchingRules'][number]>({ namespaceSelector: optional(labelSelector) })),
    }),
  ),
});

export const remoteService = object<RemoteService>({ address: string(), tlsSettings: optional(clientTls), tcpKeepalive: optional(tcpKeepalive) });

const accelerator = optional(object<KeyAccelerator>({ pollDelay: required(duration()), fallback: optional(bool()) }));

export const privateKeyProvider = object<PrivateKeyProvider>({ cryptomb: accelerator, qat: accelerator }, { oneofs: [{ keys: ['cryptomb', 'qat'], required: true }] });

export const sdsFlags = object<{ readonly enabled: boolean; readonly k8sSaJwtPath: string }>({ enabled: bool(), k8sSaJwtPath: string() });

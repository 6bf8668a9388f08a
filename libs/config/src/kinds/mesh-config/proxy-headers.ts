import { object } from '../../schema/containers.ts';
import { bool, oneOf, string } from '../../schema/scalars.ts';
import { optional } from '../../schema/schema.ts';

/** How a proxy treats the certificate of its client in x-forwarded-client-cert. */
export type ForwardClientCert = (typeof forwardClientCerts)[number];

export const forwardClientCerts = ['UNDEFINED', 'SANITIZE', 'FORWARD_ONLY', 'APPEND_FORWARD', 'SANITIZE_SET', 'ALWAYS_FORWARD_ONLY'] as const;

interface Switch {
  readonly disabled?: boolean;
}

/** Which headers proxies add. Absent: Istio's default of each. */
export interface ProxyHeaders {
  /** UNDEFINED: APPEND_FORWARD. */
  readonly forwardedClientCert: ForwardClientCert;
  readonly setCurrentClientCertDetails?: ClientCertDetails;
  readonly requestId?: Switch;
  /** `value` "" is istio-envoy. */
  readonly server?: Switch & { readonly value: string };
  readonly attemptCount?: Switch;
  readonly envoyDebugHeaders?: Switch;
  readonly metadataExchangeHeaders?: { readonly mode: 'UNDEFINED' | 'IN_MESH' };
  readonly preserveHttp1HeaderCase?: boolean;
  readonly xForwardedHost?: { readonly enabled?: boolean };
  readonly xForwardedPort?: { readonly enabled?: boolean };
}

/** Parts of the client's certificate to tell. Absent: subject, dns and uri are told. */
export interface ClientCertDetails {
  readonly subject?: boolean;
  readonly cert?: boolean;
  readonly chain?: boolean;
  readonly dns?: boolean;
  readonly uri?: boolean;
}

const flag = optional(bool());
const disable = optional(object<Switch>({ disabled: flag }));
const enable = optional(object<{ readonly enabled?: boolean }>({ enabled: flag }));

export const proxyHeaders = object<ProxyHeaders>({
  forwardedClientCert: oneOf(forwardClientCerts),
  setCurrentClientCertDetails: optional(object<ClientCertDetails>({ subject: flag, cert: flag, chain: flag, dns: flag, uri: flag })),
  requestId: disable,
  server: optional(object<NonNullable<ProxyHeaders['server']>>({ disabled: flag, value: string() })),
  attemptCount: disable,
  envoyDebugHeaders: disable,
  metadataExchangeHeaders: optional(object<NonNullable<ProxyHeaders['metadataExchangeHeaders']>>({ mode: oneOf(['UNDEFINED', 'IN_MESH']) })),
  preserveHttp1HeaderCase: flag,
  xForwardedHost: enable,
  xForwardedPort: enable,
});

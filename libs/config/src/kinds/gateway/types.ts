import type { StringMap } from '../types.ts';

/** networking.istio.io Gateway. */
export interface GatewaySpec {
  readonly servers: readonly Server[];
  /** Labels of the gateway's pods, in any namespace. */
  readonly selector: StringMap;
}

export interface Server {
  readonly port: Port;
  readonly bind: string;
  /** "dnsName" or "namespace/dnsName"; namespace may be "." or "*". */
  readonly hosts: readonly string[];
  readonly tls?: ServerTlsSettings;
  readonly defaultEndpoint: string;
  readonly name: string;
}

/** `protocol` as written (HTTP, HTTPS, GRPC, GRPC-WEB, HTTP2, MONGO, TCP, TLS; case does not matter). */
export interface Port {
  readonly number: number;
  readonly protocol: string;
  readonly name: string;
  /** Deprecated. */
  readonly targetPort: number;
}

export type ServerTlsMode = 'PASSTHROUGH' | 'SIMPLE' | 'MUTUAL' | 'AUTO_PASSTHROUGH' | 'ISTIO_MUTUAL' | 'OPTIONAL_MUTUAL';
export type TlsProtocol = 'TLS_AUTO' | 'TLSV1_0' | 'TLSV1_1' | 'TLSV1_2' | 'TLSV1_3';

export interface ServerTlsSettings {
  readonly httpsRedirect: boolean;
  readonly mode: ServerTlsMode;
  readonly serverCertificate: string;
  readonly privateKey: string;
  readonly caCertificates: string;
  readonly caCrl: string;
  readonly credentialName: string;
  readonly credentialNames: readonly string[];
  readonly caCertCredentialName: string;
  readonly tlsCertificates: readonly TlsCertificate[];
  readonly subjectAltNames: readonly string[];
  readonly verifyCertificateSpki: readonly string[];
  readonly verifyCertificateHash: readonly string[];
  readonly minProtocolVersion: TlsProtocol;
  readonly maxProtocolVersion: TlsProtocol;
  readonly cipherSuites: readonly string[];
  /** Absent: the proxy's own. */
  readonly ecdhCurves?: readonly string[];
  readonly insecureSkipVerify?: boolean;
}

export interface TlsCertificate {
  readonly serverCertificate: string;
  readonly privateKey: string;
  readonly caCertificates: string;
}

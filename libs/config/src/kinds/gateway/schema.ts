import { list, object, stringMap, strings } from '../../schema/containers.ts';
import { bool, int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import type * as gw from './types.ts';

/** Also the port of a Sidecar's listener, where only the number must be there. */
export const sidecarPort = object<gw.Port>({ number: int('uint32'), protocol: string(), name: string(), targetPort: int('uint32') });

const port = object<gw.Port>({ number: required(int('uint32')), protocol: required(string()), name: required(string()), targetPort: int('uint32') });

const tlsVersions = ['TLS_AUTO', 'TLSV1_0', 'TLSV1_1', 'TLSV1_2', 'TLSV1_3'] as const;

/** Also a Sidecar's ingress listener. */
export const serverTls = object<gw.ServerTlsSettings>(
  {
    httpsRedirect: bool(),
    mode: oneOf(['PASSTHROUGH', 'SIMPLE', 'MUTUAL', 'AUTO_PASSTHROUGH', 'ISTIO_MUTUAL', 'OPTIONAL_MUTUAL']),
    serverCertificate: string(),
    privateKey: string(),
    caCertificates: string(),
    caCrl: string(),
    credentialName: string(),
    credentialNames: strings({ minItems: 1, maxItems: 2 }),
    caCertCredentialName: string(),
    tlsCertificates: list(
      object<gw.TlsCertificate>({ serverCertificate: string(), privateKey: string(), caCertificates: string() }),
      { minItems: 1, maxItems: 2 },
    ),
    subjectAltNames: strings(),
    verifyCertificateSpki: strings(),
    verifyCertificateHash: strings(),
    minProtocolVersion: oneOf(tlsVersions),
    maxProtocolVersion: oneOf(tlsVersions),
    cipherSuites: strings(),
    ecdhCurves: optional(strings()),
    insecureSkipVerify: optional(bool()),
  },
  { oneofs: [{ keys: ['credentialName', 'credentialNames', 'tlsCertificates'] }] },
);

const server = object<gw.Server>({
  port: required(port),
  bind: string(),
  hosts: required(strings()),
  tls: optional(serverTls),
  defaultEndpoint: string(),
  name: string(),
});

export const schema = object<gw.GatewaySpec>({ servers: list(server), selector: stringMap() });

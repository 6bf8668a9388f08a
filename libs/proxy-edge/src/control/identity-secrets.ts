import { CertificateValidationContext_TrustChainVerification } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/common.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import type { DataSource } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { SPIFFECertValidatorConfig } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/envoy/config/core/v3/extension.ts';
import type { TrustBundle, WorkloadCertificate } from '@meltemi/identity';
import type { WireResource } from './worker-messages.ts';

/** The names under which Istio's SDS serves a workload's identity. */
export const workloadCertificateName = 'default';
export const trustBundleName = 'ROOTCA';

const spiffeValidatorUrl = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig';

/** The workload's certificate and trust bundle as Envoy secrets, for the workers of this process alone. */
export function identitySecrets(certificate: WorkloadCertificate): WireResource[] {
  const own: Secret = {
    name: workloadCertificateName,
    type: { $case: 'tlsCertificate', value: { certificateChain: inline(certificate.certChainPem), privateKey: inline(certificate.privateKeyPem), signedCertificateTimestamp: [] } },
  };
  const roots: Secret = {
    name: trustBundleName,
    type: {
      $case: 'validationContext',
      value: {
        trustedCa: inline(certificate.trust.pem), customValidatorConfig: trustDomains(certificate.trust), verifyCertificateSpki: [], verifyCertificateHash: [], matchTypedSubjectAltNames: [], matchSubjectAltNames: [],
        allowExpiredCertificate: false, trustChainVerification: CertificateValidationContext_TrustChainVerification.VERIFY_TRUST_CHAIN, onlyVerifyLeafCertCrl: certificate.trust.revoked !== undefined,
        // Of issuing CAs alone: nobody signs lists of authorities, and a chain without one would not hold.
        ...(certificate.trust.revoked && { crl: inline(certificate.trust.revoked.pem) }),
      },
    },
  };
  return [own, roots].map((secret) => ({ name: secret.name, bytes: Secret.encode(secret).finish() }));
}

/** Where other trust domains are believed too, each is through its own roots alone; `trusted_ca` stays for who knows no such validator. */
function trustDomains(trust: TrustBundle): TypedExtensionConfig | undefined {
  if (!trust.federated) return undefined;
  const domains = [trust, ...trust.federated].map(({ trustDomain, pem }) => ({ name: trustDomain, trustBundle: inline(pem) }));
  return { name: 'envoy.tls.cert_validator.spiffe', typedConfig: { typeUrl: spiffeValidatorUrl, value: Buffer.from(SPIFFECertValidatorConfig.encode({ trustDomains: domains }).finish()) } };
}

function inline(text: string): DataSource {
  return { specifier: { $case: 'inlineString', value: text } };
}

import type {
  CertificateValidationContext, TlsCertificate, TlsParameters, SubjectAltNameMatcher,
} from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/common.ts';
import type {
  CommonTlsContext, CommonTlsContext_CombinedCertificateValidationContext, DownstreamTlsContext, UpstreamTlsContext,
} from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import type { SPIFFECertValidatorConfig } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import type { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { oneof, refuse, use, warn, type FieldTable } from '@meltemi/route';

const provider = refuse('certificate providers are not supported: use SDS or inline certificates');

export const upstreamTlsFields: FieldTable<UpstreamTlsContext> = {
  commonTlsContext: use, sni: use,
  allowRenegotiation: refuse('TLS renegotiation is not supported'),
  maxSessionKeys: warn('session resumption towards upstreams is not tuned'),
  enforceRsaKeyUsage: warn('key usage of RSA certificates is not enforced separately'),
};

export const downstreamTlsFields: FieldTable<DownstreamTlsContext> = {
  commonTlsContext: use, requireClientCertificate: use, requireSni: use,
  sessionTicketKeysType: oneof({
    sessionTicketKeys: refuse('fixed session ticket keys are not supported'),
    sessionTicketKeysSdsSecretConfig: refuse('session ticket keys over SDS are not supported'),
    disableStatelessSessionResumption: use,
  }),
  disableStatefulSessionResumption: use, sessionTimeout: use,
  ocspStaplePolicy: refuse('OCSP stapling is not supported'),
  fullScanCertsOnSniMismatch: warn('the first certificate answers unknown names'),
};

export const commonTlsFields: FieldTable<CommonTlsContext> = {
  tlsParams: use, tlsCertificates: use, tlsCertificateSdsSecretConfigs: use,
  tlsCertificateProviderInstance: provider, tlsCertificateCertificateProvider: provider, tlsCertificateCertificateProviderInstance: provider,
  validationContextType: oneof({
    validationContext: use, validationContextSdsSecretConfig: use, combinedValidationContext: use,
    validationContextCertificateProvider: provider, validationContextCertificateProviderInstance: provider,
  }),
  alpnProtocols: use,
  customHandshaker: refuse('custom handshakers are not supported'),
  keyLog: refuse('TLS key logs are not written'),
};

export const combinedValidationFields: FieldTable<CommonTlsContext_CombinedCertificateValidationContext> = {
  defaultValidationContext: use, validationContextSdsSecretConfig: use,
  validationContextCertificateProvider: provider, validationContextCertificateProviderInstance: provider,
};

export const tlsParameterFields: FieldTable<TlsParameters> = {
  tlsMinimumProtocolVersion: use, tlsMaximumProtocolVersion: use, cipherSuites: use, ecdhCurves: use, signatureAlgorithms: use,
};

export const tlsCertificateFields: FieldTable<TlsCertificate> = {
  certificateChain: use, privateKey: use,
  pkcs12: refuse('PKCS#12 is not supported: use certificate_chain and private_key'),
  watchedDirectory: use,
  privateKeyProvider: refuse('private key providers are not supported'),
  password: use,
  ocspStaple: warn('OCSP stapling is not supported'), signedCertificateTimestamp: warn('signed certificate timestamps are not sent'),
};

export const validationFields: FieldTable<CertificateValidationContext> = {
  trustedCa: use, caCertificateProviderInstance: provider, systemRootCerts: use,
  watchedDirectory: use,
  verifyCertificateSpki: use, verifyCertificateHash: use, matchTypedSubjectAltNames: use, matchSubjectAltNames: use,
  requireSignedCertificateTimestamp: refuse('certificate transparency is not checked'),
  crl: use, allowExpiredCertificate: use, trustChainVerification: use,
  customValidatorConfig: use,
  onlyVerifyLeafCertCrl: use,
  maxVerifyDepth: use,
};

export const spiffeValidatorFields: FieldTable<SPIFFECertValidatorConfig> = { trustDomains: use };

export const sanMatcherFields: FieldTable<SubjectAltNameMatcher> = { sanType: use, matcher: use, oid: refuse('OTHER_NAME SANs are not supported') };

export const secretFields: FieldTable<Secret> = {
  name: use,
  type: oneof({ tlsCertificate: use, validationContext: use, genericSecret: use, sessionTicketKeys: refuse('session ticket keys over SDS are not supported') }),
};

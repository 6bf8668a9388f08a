import type { TransportSocket } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { CertificateValidationContext, TlsCertificate as CertificateMessage, TlsParameters } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/common.ts';
import { DownstreamTlsContext, UpstreamTlsContext, type CommonTlsContext } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls.ts';
import { SPIFFECertValidatorConfig } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/tls_spiffe_validator_config.ts';
import type { SdsSecretConfig, Secret as SecretMessage } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { compileStringMatcher } from '@meltemi/match';
import { checkFields, durationMs, Report } from '@meltemi/route';
import type { Result } from '@meltemi/base';
import { compileConfigSource, sourceOf } from './config-source.ts';
import { decodeAt, finish, type Context } from './context.ts';
import type { Compiled } from './extensions.ts';
import {
  combinedValidationFields, commonTlsFields, downstreamTlsFields, sanMatcherFields, secretFields, tlsCertificateFields, tlsParameterFields, upstreamTlsFields,
  spiffeValidatorFields, validationFields,
} from './tls-tables.ts';
import type { DownstreamTls, SanMatcher, Secret, SecretValue, TlsCertificate, TlsCommon, TrustDomainRoots, UpstreamTls, Validation } from './tls-types.ts';

const prefix = 'type.googleapis.com/envoy.extensions.transport_sockets';
const spiffeValidatorUrl = `${prefix}.tls.v3.SPIFFECertValidatorConfig`;
const rawBufferUrl = `${prefix}.raw_buffer.v3.RawBuffer`;
const readOnce = 'only secrets over SDS are watched, as in Envoy: give it by sds_config with a path_config_source';
const versions = [null, 'TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;
const sanTypes = [null, 'email', 'dns', 'uri', 'ip'] as const;

/** The TLS of a filter chain; null = plaintext. */
export function compileDownstreamSocket(socket: TransportSocket | undefined, path: string, context: Context): DownstreamTls | null {
  const bytes = socketBytes(socket, `${prefix}.tls.v3.DownstreamTlsContext`, path, context);
  const message = bytes && decodeAt(DownstreamTlsContext, bytes, `${path}.typed_config`, context.report);
  if (!message) return null;
  const at = `${path}.typed_config`;
  checkFields(message, downstreamTlsFields, at, context.report);
  const common = compileCommon(message.commonTlsContext, `${at}.common_tls_context`, context);
  if (common.certificates.length === 0 && common.certificateSdsNames.length === 0) context.report.refuse(`${at}.common_tls_context`, 'a server needs a certificate');
  const tickets = message.sessionTicketKeysType;
  return {
    ...common,
    requireClientCertificate: message.requireClientCertificate ?? false,
    requireSni: message.requireSni ?? false,
    sessionTickets: !(tickets?.$case === 'disableStatelessSessionResumption' && tickets.value),
    sessionTimeoutMs: durationMs(message.sessionTimeout, 0),
  };
}

/** The TLS towards a cluster; null = plaintext. */
export function compileUpstreamSocket(socket: TransportSocket | undefined, path: string, context: Context): UpstreamTls | null {
  const bytes = socketBytes(socket, `${prefix}.tls.v3.UpstreamTlsContext`, path, context);
  const message = bytes && decodeAt(UpstreamTlsContext, bytes, `${path}.typed_config`, context.report);
  if (!message) return null;
  checkFields(message, upstreamTlsFields, `${path}.typed_config`, context.report);
  return { ...compileCommon(message.commonTlsContext, `${path}.typed_config.common_tls_context`, context), sni: message.sni };
}

/** Compiles a secret. */
export function compileSecret(secret: SecretMessage): Result<Compiled<Secret>> {
  const report = new Report();
  checkFields(secret, secretFields, '', report);
  if (secret.name === '') report.refuse('name', 'a secret needs a name');
  const value = secretValue(secret, report);
  return finish(report, value && { name: secret.name, value });
}

function secretValue(secret: SecretMessage, report: Report): SecretValue | null {
  switch (secret.type?.$case) {
    case 'tlsCertificate': {
      const certificate = compileCertificate(secret.type.value, 'tls_certificate', report);
      return certificate && { kind: 'certificate', certificate };
    }
    case 'validationContext':
      return { kind: 'validation', validation: compileValidation(secret.type.value, 'validation_context', report) };
    case 'genericSecret': {
      const source = sourceOf(secret.type.value.secret);
      if (!source) report.refuse('generic_secret.secret', 'is required');
      return source && { kind: 'generic', secret: source };
    }
    default:
      if (!secret.type) report.refuse('', 'needs tls_certificate, validation_context or generic_secret');
      return null;
  }
}

/** The bytes of a TLS context; null for plaintext or when refused. */
function socketBytes(socket: TransportSocket | undefined, wanted: string, path: string, context: Context): Uint8Array | null {
  if (!socket) return null;
  const any = socket.configType?.value;
  if (any?.typeUrl === wanted) return any.value;
  const raw = any ? any.typeUrl === rawBufferUrl : socket.name === 'envoy.transport_sockets.raw_buffer';
  if (!raw) context.report.refuse(path, `${any?.typeUrl ?? socket.name} is not a transport socket that can be used here`);
  return null;
}

function compileCommon(message: CommonTlsContext | undefined, path: string, context: Context): TlsCommon {
  const { report } = context;
  if (message) checkFields(message, commonTlsFields, path, report);
  const certificates = (message?.tlsCertificates ?? []).flatMap((certificate, i) => compileCertificate(certificate, `${path}.tls_certificates[${i}]`, report) ?? []);
  const watched = (message?.tlsCertificates ?? []).findIndex((certificate) => certificate.watchedDirectory);
  if (watched >= 0) report.warn(`${path}.tls_certificates[${watched}].watched_directory`, readOnce);
  const names = (message?.tlsCertificateSdsSecretConfigs ?? []).flatMap((sds, i) => sdsName(sds, `${path}.tls_certificate_sds_secret_configs[${i}]`, context));
  return {
    ...compileParameters(message?.tlsParams, `${path}.tls_params`, report),
    alpn: message?.alpnProtocols ?? [],
    certificates, certificateSdsNames: names,
    ...compileTrust(message, path, context),
  };
}

function compileTrust(message: CommonTlsContext | undefined, path: string, context: Context): Pick<TlsCommon, 'validation' | 'validationSdsName'> {
  const type = message?.validationContextType;
  switch (type?.$case) {
    case 'validationContext':
      if (type.value.watchedDirectory) context.report.warn(`${path}.validation_context.watched_directory`, readOnce);
      return { validation: compileValidation(type.value, `${path}.validation_context`, context.report), validationSdsName: null };
    case 'validationContextSdsSecretConfig':
      return { validation: null, validationSdsName: sdsName(type.value, `${path}.validation_context_sds_secret_config`, context)[0] ?? null };
    case 'combinedValidationContext': {
      const at = `${path}.combined_validation_context`;
      checkFields(type.value, combinedValidationFields, at, context.report);
      const own = type.value.defaultValidationContext;
      const sds = type.value.validationContextSdsSecretConfig;
      return {
        validation: own ? compileValidation(own, `${at}.default_validation_context`, context.report) : null,
        validationSdsName: (sds && sdsName(sds, `${at}.validation_context_sds_secret_config`, context)[0]) ?? null,
      };
    }
    default:
      return { validation: null, validationSdsName: null };
  }
}

function sdsName(sds: SdsSecretConfig, path: string, context: Context): string[] {
  // Without a source it is a secret of static_resources.
  const source = sds.sdsConfig ? compileConfigSource(sds.sdsConfig, `${path}.sds_config`, context.report) : null;
  if (sds.name === '') context.report.refuse(`${path}.name`, 'is required');
  context.sdsNames.add(sds.name);
  if (source) context.references.push({ kind: 'secrets', name: sds.name, source, path, statPrefix: `sds.${sds.name}.` });
  return [sds.name];
}

function compileParameters(params: TlsParameters | undefined, path: string, report: Report): Pick<TlsCommon, 'minVersion' | 'maxVersion' | 'ciphers' | 'ecdhCurves' | 'signatureAlgorithms'> {
  if (params) checkFields(params, tlsParameterFields, path, report);
  const version = (value: number | undefined, field: string) => {
    const known = versions[(value ?? 0) as 0 | 1 | 2 | 3 | 4];
    if (known === undefined) report.refuse(`${path}.${field}`, `${value} is not a TLS version`);
    return known ?? null;
  };
  const list = (values: readonly string[] | undefined) => (values && values.length > 0 ? values.map((value) => value.replace(/^\[|\]$/g, '').replaceAll('|', ':')).join(':') : null);
  return {
    minVersion: version(params?.tlsMinimumProtocolVersion, 'tls_minimum_protocol_version'),
    maxVersion: version(params?.tlsMaximumProtocolVersion, 'tls_maximum_protocol_version'),
    ciphers: list(params?.cipherSuites), ecdhCurves: list(params?.ecdhCurves), signatureAlgorithms: list(params?.signatureAlgorithms),
  };
}

function compileCertificate(message: CertificateMessage, path: string, report: Report): TlsCertificate | null {
  checkFields(message, tlsCertificateFields, path, report);
  const certificateChain = sourceOf(message.certificateChain);
  const privateKey = sourceOf(message.privateKey);
  if (!certificateChain) report.refuse(`${path}.certificate_chain`, 'is required');
  if (!privateKey) report.refuse(`${path}.private_key`, 'is required');
  return certificateChain && privateKey && { certificateChain, privateKey, password: sourceOf(message.password) };
}

function compileValidation(message: CertificateValidationContext, path: string, report: Report): Validation {
  checkFields(message, validationFields, path, report);
  const acceptUntrusted = message.trustChainVerification === 1;
  const leafOnly = message.onlyVerifyLeafCertCrl && message.crl !== undefined;
  const trustedCa = sourceOf(message.trustedCa);
  const hashes = message.verifyCertificateHash.map((hash) => hash.replaceAll(':', '').toLowerCase());
  for (const [i, hash] of hashes.entries()) if (!/^[0-9a-f]{64}$/.test(hash)) report.refuse(`${path}.verify_certificate_hash[${i}]`, 'is not a SHA-256 in hex');
  return {
    trustedCa, systemRoots: message.systemRootCerts !== undefined, crl: leafOnly ? null : sourceOf(message.crl), ...(leafOnly && { leafCrl: sourceOf(message.crl) }), sanMatchers: compileSans(message, path, report),
    spki: message.verifyCertificateSpki, hashes,
    allowExpired: message.allowExpiredCertificate, acceptUntrusted, maxVerifyDepth: message.maxVerifyDepth ?? null,
    trustDomains: compileValidator(message, `${path}.custom_validator_config`, report),
  };
}

/** Envoy's SPIFFE validator is the one custom validator there is. */
function compileValidator({ customValidatorConfig: custom }: CertificateValidationContext, path: string, report: Report): TrustDomainRoots[] | null {
  const any = custom?.typedConfig;
  if (!custom) return null;
  if (any?.typeUrl !== spiffeValidatorUrl) {
    report.refuse(path, `${any?.typeUrl ?? custom.name} is not a certificate validator that can be used here: only the SPIFFE one is`);
    return null;
  }
  const at = `${path}.typed_config`;
  const config = decodeAt(SPIFFECertValidatorConfig, any.value, at, report);
  if (!config) return null;
  checkFields(config, spiffeValidatorFields, at, report);
  if (config.trustDomains.length === 0) report.refuse(`${at}.trust_domains`, 'needs at least one');
  return config.trustDomains.flatMap(({ name, trustBundle }, i) => {
    const field = `${at}.trust_domains[${i}]`;
    const roots = sourceOf(trustBundle);
    if (!/^[a-z0-9._-]{1,255}$/.test(name)) report.refuse(`${field}.name`, `"${name}" is not a trust domain, like example.com`);
    else if (config.trustDomains.findIndex((each) => each.name === name) < i) report.refuse(`${field}.name`, `"${name}" is listed already`);
    if (!roots) report.refuse(`${field}.trust_bundle`, 'is required');
    return roots ? [{ name, roots }] : [];
  });
}

function compileSans(message: CertificateValidationContext, path: string, report: Report): SanMatcher[] {
  const typed = message.matchTypedSubjectAltNames.flatMap((san, i) => {
    const at = `${path}.match_typed_subject_alt_names[${i}]`;
    checkFields(san, sanMatcherFields, at, report);
    const type = sanTypes[san.sanType as 0 | 1 | 2 | 3 | 4];
    if (!type) report.refuse(`${at}.san_type`, 'must be EMAIL, DNS, URI or IP_ADDRESS');
    const matcher = report.take(compileStringMatcher(san.matcher, `${at}.matcher`), null);
    return type && matcher ? [{ type, matcher }] : [];
  });
  const any = message.matchSubjectAltNames.flatMap((san, i) => {
    const matcher = report.take(compileStringMatcher(san, `${path}.match_subject_alt_names[${i}]`), null);
    return matcher ? [{ type: 'any' as const, matcher }] : [];
  });
  return [...typed, ...any];
}

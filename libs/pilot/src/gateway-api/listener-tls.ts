import { isCipherSuite, type Config, type ConfigMapSpec, type FrontendTls, type GatewayListenerSpec, type GatewayTls, type ListenerTls, type NamespacedReference, type ServerTlsSettings } from '@meltemi/config';
import type { Lookups } from './lookups.ts';
import { rootsOfText } from '../secrets/credential.ts';
import { joined, type Problem } from './problem.ts';

/** The Gateway or ListenerSet that a listener belongs to. */
export interface ListenerOwner {
  readonly config: Config;
  /** Of the Gateway, also for a ListenerSet. */
  readonly gatewayTls: GatewayTls | undefined;
}

/** How a listener terminates TLS; with a problem when a reference leads nowhere. */
export interface ListenerTlsResult {
  readonly tls?: ServerTlsSettings;
  readonly problem?: Problem;
  /** The problem means that nothing may be served. */
  readonly fatal: boolean;
}

const options = { terminate: 'gateway.istio.io/tls-terminate-mode', ciphers: 'gateway.istio.io/tls-cipher-suites', protocol: 'gateway.istio.io/listener-protocol' } as const;

const base: ServerTlsSettings = {
  httpsRedirect: false, mode: 'SIMPLE', serverCertificate: '', privateKey: '', caCertificates: '', caCrl: '', credentialName: '', credentialNames: [], caCertCredentialName: '', tlsCertificates: [],
  subjectAltNames: [], verifyCertificateSpki: [], verifyCertificateHash: [], minProtocolVersion: 'TLS_AUTO', maxProtocolVersion: 'TLS_AUTO', cipherSuites: [],
};

export function listenerTls(listener: GatewayListenerSpec, owner: ListenerOwner, lookups: Lookups): ListenerTlsResult {
  const { tls } = listener;
  if (!tls) return { fatal: false };
  const suites = (tls.options[options.ciphers] ?? '').split(',').map((name) => name.trim()).filter(isCipherSuite);
  if (tls.mode === 'Passthrough') return { tls: { ...base, mode: isAutoPassthrough(listener, owner.config) ? 'AUTO_PASSTHROUGH' : 'PASSTHROUGH', cipherSuites: suites }, fatal: false };
  const result = terminated(tls, { listener, owner, lookups });
  return result.tls ? { ...result, tls: { ...result.tls, cipherSuites: suites } } : result;
}

/** Said by option, or by being the east-west port of a Gateway that names its network. */
function isAutoPassthrough(listener: GatewayListenerSpec, { meta }: Config): boolean {
  if (listener.tls?.options[options.protocol] === 'auto-passthrough') return true;
  return meta.labels['topology.istio.io/network'] !== undefined && String(listener.port) === (meta.labels['networking.istio.io/gatewayPort'] ?? '15443');
}

interface Terminating {
  readonly listener: GatewayListenerSpec;
  readonly owner: ListenerOwner;
  readonly lookups: Lookups;
}

function terminated(tls: ListenerTls, context: Terminating): ListenerTlsResult {
  const mode = tls.options[options.terminate];
  if (mode === 'ISTIO_MUTUAL') return { tls: { ...base, mode }, fatal: false };
  if (mode === 'ISTIO_SIMPLE') return { tls: { ...base, credentialName: 'builtin://' }, fatal: false };
  if (tls.certificateRefs.length > 2) return { problem: { reason: 'InvalidCertificateRef', message: 'at most two certificates are supported' }, fatal: true };
  const certificates = tls.certificateRefs.map((reference) => certificate(reference, context));
  const names = certificates.flatMap(({ name }) => (name === undefined ? [] : [name]));
  const problem = certificates.reduce<Problem | undefined>((sum, each) => joined(sum, each.problem), undefined);
  if (names.length === 0) return { ...(problem ? { problem } : {}), fatal: true };
  const served: ServerTlsSettings = { ...base, ...(mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL' ? { mode } : {}), ...(names.length === 1 ? { credentialName: names[0] ?? '' } : { credentialNames: names }) };
  const clients = clientValidation(served, mode, context);
  const both = joined(problem, clients.problem);
  return { tls: clients.tls, ...(both ? { problem: both } : {}), fatal: clients.fatal };
}

/**
 * A certificate's Secret. Deviation: one that is missing is a problem of the status alone: who holds keys elsewhere (files, another SDS server) never shows us a Secret.
 */
function certificate(reference: NamespacedReference, { owner: { config }, lookups }: Terminating): { readonly name?: string; readonly problem?: Problem } {
  const namespace = reference.namespace ?? config.meta.namespace;
  const shown = `${namespace}/${reference.name}`;
  if (reference.group !== '' || reference.kind !== 'Secret') return { problem: { reason: 'InvalidCertificateRef', message: `certificateRef ${shown}: only a Secret can hold a certificate, not ${reference.kind}` } };
  if (!lookups.grants(sideOf(config), { group: '', kind: 'Secret', namespace, name: reference.name })) return { problem: notPermitted('certificateRef', shown, config) };
  const name = `kubernetes-gateway://${shown}`;
  const secret = lookups.secret(namespace, reference.name);
  if (!secret) return { name, problem: { reason: 'InvalidCertificateRef', message: `certificateRef ${shown}: there is no such Secret` } };
  const whole = ['tls.crt', 'tls.key'].every((key) => secret.spec.keys.includes(key)) || ['cert', 'key'].every((key) => secret.spec.keys.includes(key));
  return whole ? { name } : { name, problem: { reason: 'InvalidCertificateRef', message: `certificateRef ${shown}: the Secret has no tls.crt and tls.key` } };
}

function notPermitted(field: string, shown: string, { key }: Config): Problem {
  return { reason: 'RefNotPermitted', message: `${field} ${shown} is of another namespace, and no ReferenceGrant there allows it to a ${key.kind} of ${key.namespace}` };
}

function sideOf({ key }: Config): { readonly group: string; readonly kind: string; readonly namespace: string } {
  return { group: key.group, kind: key.kind, namespace: key.namespace };
}

/** The Gateway may ask clients for certificates on all its ports, or on some. */
function clientValidation(served: ServerTlsSettings, mode: string | undefined, context: Terminating): { readonly tls: ServerTlsSettings; readonly problem?: Problem; readonly fatal: boolean } {
  const validation = frontend(context)?.validation;
  const [reference, another] = validation?.caCertificateRefs ?? [];
  if (!validation || !reference) return { tls: served, fatal: false };
  if (another) return { tls: served, problem: { reason: 'InvalidCACertificateRef', message: 'only one caCertificateRef is supported' }, fatal: true };
  const { name, problem } = caCertificate(reference, context);
  const noted = problem ? { problem } : {};
  if (name === undefined) return { tls: served, ...noted, fatal: true };
  const optional = validation.mode === 'AllowInsecureFallback';
  const written = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL' ? { mode, insecureSkipVerify: false } as const : { mode: optional ? 'OPTIONAL_MUTUAL' : 'MUTUAL', insecureSkipVerify: optional } as const;
  return { tls: { ...served, ...written, caCertCredentialName: name }, ...noted, fatal: false };
}

function frontend({ listener, owner }: Terminating): FrontendTls | undefined {
  const settings = owner.gatewayTls?.frontend;
  return settings?.perPort.find(({ port }) => port === listener.port)?.tls ?? settings?.default;
}

/** What vouches for clients. Deviation: one that is missing is a problem of the status alone, as with certificates; without roots no client is let in. */
function caCertificate(reference: NamespacedReference, { owner: { config }, lookups }: Terminating): { readonly name?: string; readonly problem?: Problem } {
  const namespace = reference.namespace ?? config.meta.namespace;
  const shown = `${namespace}/${reference.name}`;
  const { kind, name } = reference;
  if (reference.group !== '' || (kind !== 'Secret' && kind !== 'ConfigMap')) return { problem: { reason: 'InvalidCACertificateKind', message: `caCertificateRef ${shown}: only a ConfigMap or a Secret can hold roots, not ${kind}` } };
  if (!lookups.grants(sideOf(config), { group: '', kind, namespace, name })) return { problem: notPermitted('caCertificateRef', shown, config) };
  const resource = `${kind === 'Secret' ? 'kubernetes-gateway' : 'configmap'}://${shown}-cacert`;
  const wrong = kind === 'Secret' ? secretProblem(lookups.secret(namespace, name)) : configMapProblem(lookups.configMap(namespace, name));
  return wrong === undefined ? { name: resource } : { name: resource, problem: { reason: 'InvalidCACertificateRef', message: `caCertificateRef ${shown}: ${wrong}` } };
}

/** What is in a Secret is checked when it comes: one that cannot be used is not there. */
function secretProblem(secret: Config | undefined): string | undefined {
  return secret ? undefined : 'there is no such Secret';
}

function configMapProblem(map: Config<ConfigMapSpec> | undefined): string | undefined {
  if (!map) return 'there is no such ConfigMap';
  const roots = rootsOfText(map.spec.data);
  return roots.ok ? undefined : `the ConfigMap ${roots.error[0]?.message ?? ''}`;
}

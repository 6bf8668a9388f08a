import { packAny, typeNameOf } from '@meltemi/api';
import { DataSource } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { CertificateValidationContext, TlsCertificate } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/common.ts';
import { Secret } from '@meltemi/api/gen/envoy/extensions/transport_sockets/tls/v3/secret.ts';
import { err, formatFieldErrors, ok, type Result } from '@meltemi/base';
import type { Config, ConfigMapSpec, SecretSpec } from '@meltemi/config';
import { resourceSet, xdsResource, xdsType, type ResourceSet, type XdsResource } from '@meltemi/xds';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { create } from '../translate/message.ts';
import { whyForbidden } from './access.ts';
import { authoritiesOf, keyPairOf, rootsOfText, type Authorities, type KeyPair } from './credential.ts';
import { secretsNamedBy, type SecretRole } from './references.ts';
import { authoritiesSuffix, parseSecretName, type SecretReference } from './resource-name.ts';

/** Who asks for secrets. */
export interface SecretAsker {
  readonly proxy: Proxy;
  /** The namespace of its verified identity; undefined when nothing is verified, as on a plaintext port. */
  readonly namespace: string | undefined;
  readonly names: Iterable<string>;
  /** What it runs, or is about to: listeners and clusters. */
  readonly configuration: Iterable<ResourceSet>;
}

/** A secret that is asked for and not given, and why. */
export interface Withheld {
  readonly name: string;
  readonly reason: string;
}

export interface SecretAnswer {
  readonly set: ResourceSet;
  readonly withheld: readonly Withheld[];
}

/** The secrets that a proxy asks for, may have and that are there. One bad name spoils no other. */
export function secretSet(push: PushContext, { proxy, namespace, names, configuration }: SecretAsker): SecretAnswer {
  const found: XdsResource[] = [];
  const withheld: Withheld[] = [];
  const needed = secretsNamedBy(configuration);
  for (const name of names) {
    const answer = namespace === undefined ? err('goes to proxies with a certificate of the mesh only, over mTLS') : one(push, name, { proxy, namespace, role: needed.get(name) });
    if (answer.ok) found.push(answer.value);
    else withheld.push({ name, reason: answer.error });
  }
  return { set: resourceSet(xdsType.secret, found), withheld };
}

function one(push: PushContext, name: string, { proxy, namespace, role }: { readonly proxy: Proxy; readonly namespace: string; readonly role: SecretRole | undefined }): Result<XdsResource, string> {
  const reference = parseSecretName(name, namespace);
  if (!reference.ok) return reference;
  if (role === undefined) return err('is named by no listener and no cluster of this proxy');
  const forbidden = whyForbidden(reference.value, name, { push, proxy, namespace });
  if (forbidden !== undefined) return err(forbidden);
  return role === 'authorities' || reference.value.name.endsWith(authoritiesSuffix) ? authorities(push, name, reference.value) : keyPair(push, name, reference.value);
}

function keyPair(push: PushContext, name: string, { scheme, namespace, name: object }: SecretReference): Result<XdsResource, string> {
  if (scheme === 'configmap') return err('is a ConfigMap, which holds roots only');
  const secret = objectsOf<SecretSpec>(push, 'Secret').get(`${namespace}/${object}`);
  return secret ? resourceOf(secret, name, () => encoded(keyPairOf(secret.spec), (pair) => certificateSecret(name, pair))) : err(missing('Secret', namespace, object));
}

/** The object of exactly that name comes first, then the one without the suffix. */
function authorities(push: PushContext, name: string, { scheme, namespace, name: written }: SecretReference): Result<XdsResource, string> {
  const names = written.endsWith(authoritiesSuffix) ? [written, written.slice(0, -authoritiesSuffix.length)] : [written];
  for (const object of names) {
    const key = `${namespace}/${object}`;
    const map = scheme === 'configmap' ? objectsOf<ConfigMapSpec>(push, 'ConfigMap').get(key) : undefined;
    if (map) return resourceOf(map, name, () => encoded(rootsOfText(map.spec.data), (trust) => trustSecret(name, trust)));
    const secret = scheme === 'configmap' ? undefined : objectsOf<SecretSpec>(push, 'Secret').get(key);
    if (secret) return resourceOf(secret, name, () => encoded(authoritiesOf(secret.spec), (trust) => trustSecret(name, trust)));
  }
  return err(missing(scheme === 'configmap' ? 'ConfigMap' : 'Secret', namespace, names.at(-1) ?? written));
}

function missing(kind: string, namespace: string, name: string): string {
  return `there is no ${kind} ${namespace}/${name} in force`;
}

const indexes = new WeakMap<readonly Config[], ReadonlyMap<string, Config>>();

/** By "namespace/name"; made once for each list. */
function objectsOf<Spec>(push: PushContext, kind: 'Secret' | 'ConfigMap'): ReadonlyMap<string, Config<Spec>> {
  const list = push.inputs.get(kind) ?? [];
  const index = indexes.get(list) ?? new Map(list.map((config) => [`${config.meta.namespace}/${config.meta.name}`, config]));
  indexes.set(list, index);
  return index as ReadonlyMap<string, Config<Spec>>;
}

const made = new WeakMap<Config, Map<string, Result<XdsResource, string>>>();

/** Encoded once for each version of an object, whoever asks. */
function resourceOf(config: Config, name: string, build: () => Result<XdsResource, string>): Result<XdsResource, string> {
  const byName = made.get(config) ?? new Map<string, Result<XdsResource, string>>();
  made.set(config, byName);
  const resource = byName.get(name) ?? build();
  byName.set(name, resource);
  return resource;
}

function encoded<T>(read: Result<T>, build: (value: T) => Secret): Result<XdsResource, string> {
  if (!read.ok) return err(formatFieldErrors(read.error));
  const secret = build(read.value);
  return ok(xdsResource(secret.name, packAny(typeNameOf(xdsType.secret), Secret, secret)));
}

function certificateSecret(name: string, { chain, key, staple }: KeyPair): Secret {
  const value = create(TlsCertificate, { certificateChain: inline(chain), privateKey: inline(key), ...(staple ? { ocspStaple: inline(staple) } : {}) });
  return create(Secret, { name, type: { $case: 'tlsCertificate', value } });
}

function trustSecret(name: string, { roots, crl }: Authorities): Secret {
  const value = create(CertificateValidationContext, { trustedCa: inline(roots), ...(crl ? { crl: inline(crl) } : {}) });
  return create(Secret, { name, type: { $case: 'validationContext', value } });
}

function inline(bytes: Buffer): DataSource {
  return create(DataSource, { specifier: { $case: 'inlineBytes', value: bytes } });
}

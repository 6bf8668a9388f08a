import type { Config, ConfigMapSpec, KubeServiceSpec, LabelSelector, ReferenceGrantSpec, SecretSpec, ServiceEntrySpec } from '@meltemi/config';
import { indexGrants, type Grants } from './grants.ts';

/** What conversion reads of other objects. Names of objects are looked up in their namespace. */
export interface Lookups {
  readonly domain: string;
  readonly service: (namespace: string, name: string) => Config<KubeServiceSpec> | undefined;
  readonly serviceEntry: (namespace: string, name: string) => Config<ServiceEntrySpec> | undefined;
  readonly secret: (namespace: string, name: string) => Config<SecretSpec> | undefined;
  readonly configMap: (namespace: string, name: string) => Config<ConfigMapSpec> | undefined;
  /** True when a service of this namespace has the host name. */
  readonly knowsHost: (namespace: string, hostname: string) => boolean;
  /** Namespaces that a selector picks, sorted. */
  readonly namespaces: (selector: LabelSelector) => readonly string[];
  readonly grants: Grants;
}

/** Objects by kind. */
export type ByKind = <Spec>(kind: string) => readonly Config<Spec>[];

/** `routes` of namespaces that nobody described count for namespaces with no label but their name. */
export function lookupsOf(of: ByKind, { domain, routeNamespaces }: { readonly domain: string; readonly routeNamespaces: Iterable<string> }): Lookups {
  const services = byName(of<KubeServiceSpec>('Service'));
  const entries = byName(of<ServiceEntrySpec>('ServiceEntry'));
  const secrets = byName(of<SecretSpec>('Secret'));
  const configMaps = byName(of<ConfigMapSpec>('ConfigMap'));
  const entryHosts = new Set(of<ServiceEntrySpec>('ServiceEntry').flatMap(({ meta, spec }) => spec.hosts.map((host) => `${meta.namespace}/${host}`)));
  const labels = new Map<string, Readonly<Record<string, string>>>();
  for (const name of routeNamespaces) labels.set(name, { [nameLabel]: name });
  for (const { meta } of of('Namespace')) labels.set(meta.name, { ...meta.labels, [nameLabel]: meta.name });
  return {
    domain,
    service: (namespace, name) => services.get(`${namespace}/${name}`),
    serviceEntry: (namespace, name) => entries.get(`${namespace}/${name}`),
    secret: (namespace, name) => secrets.get(`${namespace}/${name}`),
    configMap: (namespace, name) => configMaps.get(`${namespace}/${name}`),
    knowsHost: (namespace, hostname) => entryHosts.has(`${namespace}/${hostname}`) || services.has(serviceNamed(hostname, namespace, domain)),
    namespaces: (selector) => [...labels].filter(([, own]) => selectsLabels(selector, own)).map(([name]) => name).sort(),
    grants: indexGrants(of<ReferenceGrantSpec>('ReferenceGrant')),
  };
}

const nameLabel = 'kubernetes.io/metadata.name';

/** "default/reviews" for reviews.default.svc.cluster.local seen from default; '' for any other name. */
function serviceNamed(hostname: string, namespace: string, domain: string): string {
  const suffix = `.${namespace}.svc.${domain}`;
  return hostname.endsWith(suffix) ? `${namespace}/${hostname.slice(0, -suffix.length)}` : '';
}

function byName<Spec>(configs: readonly Config<Spec>[]): Map<string, Config<Spec>> {
  return new Map(configs.map((config) => [`${config.meta.namespace}/${config.meta.name}`, config]));
}

/** Kubernetes' label selector: all parts must hold; an operator nobody knows selects nothing. */
export function selectsLabels({ matchLabels, matchExpressions }: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  if (Object.entries(matchLabels).some(([key, value]) => labels[key] !== value)) return false;
  return matchExpressions.every(({ key, operator, values }) => {
    const value = labels[key];
    if (operator === 'In') return value !== undefined && values.includes(value);
    if (operator === 'NotIn') return value === undefined || !values.includes(value);
    return operator === 'Exists' ? value !== undefined : operator === 'DoesNotExist' && value === undefined;
  });
}

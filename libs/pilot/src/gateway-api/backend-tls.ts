import type { BackendTlsPolicySpec, ClientTlsSettings, Config, DestinationRuleSpec, PolicyTargetReference, TrafficPolicy } from '@meltemi/config';
import { byAge } from '../push-context/virtual-services.ts';
import type { Lookups } from './lookups.ts';
import { generatedSuffix, notes } from './names.ts';
import { rootsOfText } from '../secrets/credential.ts';
import type { Problem } from './problem.ts';

/** What became of one target of a policy. */
export interface ConvertedTarget {
  readonly reference: PolicyTargetReference;
  /** Why it is not accepted there. */
  readonly problem?: Problem;
}

export interface ConvertedPolicy {
  readonly config: Config<BackendTlsPolicySpec>;
  readonly targets: readonly ConvertedTarget[];
  /** Why a reference to roots does not lead anywhere: then nobody is trusted. */
  readonly unresolved?: Problem;
  /** It says itself that it is not for us. */
  readonly ignored?: true;
}

export interface ConvertedPolicies {
  readonly policies: readonly ConvertedPolicy[];
  readonly destinationRules: readonly Config<DestinationRuleSpec>[];
}

/** A target that is there: its host names, and its port when only one is meant. */
interface Target {
  readonly hosts: readonly string[];
  readonly port?: number;
}

/** For whoever has several controllers at the same Services. */
export const ignoredAnnotation = 'istio.io/ignore-policy-attachment';

/** Policies as DestinationRules: clients of a backend originate TLS to it. Of several policies for one thing the oldest counts. */
export function convertPolicies(configs: readonly Config<BackendTlsPolicySpec>[], lookups: Lookups): ConvertedPolicies {
  const taken = new Map<string, Config>();
  const rules = new Map<string, Building>();
  const policies = configs.toSorted(byAge).map((config): ConvertedPolicy => {
    if (config.meta.annotations[ignoredAnnotation]?.toLowerCase() === 'true') return { config, targets: config.spec.targetRefs.map((reference) => ({ reference })), ignored: true };
    const { tls, unresolved } = clientTls(config, lookups);
    const targets = config.spec.targetRefs.map((reference): ConvertedTarget => {
      const target = findTarget(reference, config, lookups);
      if ('reason' in target) return { reference, problem: target };
      const key = [config.meta.namespace, reference.kind, reference.name, reference.sectionName ?? ''].join('/');
      const winner = taken.get(key);
      if (winner) return { reference, problem: { reason: 'Conflicted', message: `BackendTLSPolicy ${winner.meta.namespace}/${winner.meta.name} is for the same ${reference.kind} already` } };
      taken.set(key, config);
      for (const host of target.hosts) addRule(rules, { config, reference, host, tls, ...(target.port === undefined ? {} : { port: target.port }) });
      return { reference };
    });
    return { config, targets, ...(unresolved ? { unresolved } : {}) };
  });
  return { policies, destinationRules: [...rules].map(([name, building]) => destinationRule(name, building)) };
}

function findTarget({ group, kind, name, sectionName }: PolicyTargetReference, { meta }: Config, lookups: Lookups): Target | Problem {
  const shown = `${kind} ${meta.namespace}/${name}`;
  const found = portsOf({ group, kind, name }, meta.namespace, lookups);
  if (found === undefined) return { reason: 'TargetNotFound', message: `a ${kind} cannot be a target, only a Service or ServiceEntry` };
  if (found.hosts.length === 0) return { reason: 'TargetNotFound', message: `there is no ${shown}` };
  if (sectionName === undefined) return { hosts: found.hosts };
  const port = found.ports.find((candidate) => candidate.name === sectionName);
  return port ? { hosts: found.hosts, port: port.number } : { reason: 'TargetNotFound', message: `${shown} has no port named "${sectionName}"` };
}

function portsOf({ group, kind, name }: { readonly group: string; readonly kind: string; readonly name: string }, namespace: string, lookups: Lookups): { readonly hosts: readonly string[]; readonly ports: readonly { readonly name: string; readonly number: number }[] } | undefined {
  if (group === '' && kind === 'Service') {
    const service = lookups.service(namespace, name);
    return { hosts: service ? [`${name}.${namespace}.svc.${lookups.domain}`] : [], ports: (service?.spec.ports ?? []).map((port) => ({ name: port.name, number: port.port })) };
  }
  if (group !== 'networking.istio.io' || kind !== 'ServiceEntry') return undefined;
  const entry = lookups.serviceEntry(namespace, name);
  return { hosts: entry?.spec.hosts ?? [], ports: entry?.spec.ports ?? [] };
}

function clientTls({ spec, meta }: Config<BackendTlsPolicySpec>, lookups: Lookups): { readonly tls: ClientTlsSettings; readonly unresolved?: Problem } {
  const { hostname, subjectAltNames, caCertificateRefs, wellKnownCACertificates: wellKnown } = spec.validation;
  const names = subjectAltNames.flatMap(({ hostname: host, uri }) => [host ?? uri ?? '']).filter((name) => name !== '');
  const tls = (credentialName: string): ClientTlsSettings => ({ mode: 'SIMPLE', clientCertificate: '', privateKey: '', caCertificates: '', credentialName, subjectAltNames: names, sni: hostname, caCrl: '' });
  if (wellKnown !== undefined && wellKnown !== '') return wellKnown === 'System' ? { tls: tls('') } : { tls: tls(nobodyTrusted), unresolved: { reason: 'Invalid', message: `wellKnownCACertificates "${wellKnown}" is not known, "System" is` } };
  const [reference, another] = caCertificateRefs;
  if (!reference) return { tls: tls('') };
  if (another) return { tls: tls(nobodyTrusted), unresolved: { reason: 'InvalidCACertificateRef', message: 'only one caCertificateRef is supported' } };
  if (reference.group !== '' || reference.kind !== 'ConfigMap') return { tls: tls(nobodyTrusted), unresolved: { reason: 'InvalidKind', message: `caCertificateRef: a ${reference.kind} cannot hold roots, only a ConfigMap` } };
  const shown = `${meta.namespace}/${reference.name}`;
  const map = lookups.configMap(meta.namespace, reference.name);
  if (!map) return { tls: tls(nobodyTrusted), unresolved: { reason: 'InvalidCACertificateRef', message: `caCertificateRef: there is no ConfigMap ${shown}` } };
  const roots = rootsOfText(map.spec.data);
  if (!roots.ok) return { tls: tls(nobodyTrusted), unresolved: { reason: 'InvalidCACertificateRef', message: `caCertificateRef: ConfigMap ${shown} ${roots.error[0]?.message ?? ''}` } };
  return { tls: tls(`configmap://${shown}`) };
}

/** Istio's name for roots that no server has: connections fail rather than go unchecked. */
const nobodyTrusted = 'invalid://';

interface Entry {
  readonly config: Config;
  readonly reference: PolicyTargetReference;
  readonly host: string;
  readonly tls: ClientTlsSettings;
  readonly port?: number;
}

interface Building {
  readonly namespace: string;
  readonly host: string;
  readonly parents: string[];
  tls?: ClientTlsSettings;
  readonly ports: Map<number, ClientTlsSettings>;
}

function addRule(rules: Map<string, Building>, { config, reference, host, tls, port }: Entry): void {
  const { namespace, name: policy } = config.meta;
  const name = `${reference.name}~${reference.kind === 'ServiceEntry' ? `${host.replaceAll('.', '-')}~` : ''}${generatedSuffix}`;
  const building: Building = rules.get(`${namespace}/${name}`) ?? { namespace, host, parents: [], ports: new Map() };
  rules.set(`${namespace}/${name}`, building);
  if (!building.parents.includes(`BackendTLSPolicy/${namespace}.${policy}`)) building.parents.push(`BackendTLSPolicy/${namespace}.${policy}`);
  if (port === undefined) building.tls = tls;
  else building.ports.set(port, tls);
}

function destinationRule(path: string, { namespace, host, parents, tls, ports }: Building): Config<DestinationRuleSpec> {
  const name = path.slice(path.indexOf('/') + 1);
  const trafficPolicy: TrafficPolicy = { ...(tls ? { tls } : {}), portLevelSettings: [...ports].sort(([a], [b]) => a - b).map(([number, settings]) => ({ port: { number }, tls: settings })) };
  return {
    key: { group: 'networking.istio.io', kind: 'DestinationRule', namespace, name },
    apiVersion: 'networking.istio.io/v1',
    meta: { name, namespace, labels: {}, annotations: { [notes.parents]: parents.join(',') }, creationTimestamp: '' },
    spec: { host, trafficPolicy, subsets: [], exportTo: [] },
  };
}


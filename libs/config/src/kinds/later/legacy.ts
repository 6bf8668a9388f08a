import { anything } from '../../schema/containers.ts';
import { istioKind, type ConfigKind } from '../kind.ts';

// Kinds of Istio 1.0 – 1.5 (Mixer, the first authentication and RBAC) and of its operator, by group and version.
const namesByGroup: readonly (readonly [group: string, version: string, kinds: readonly string[]])[] = [
  ['config.istio.io', 'v1alpha2', ['attributemanifest', 'handler', 'instance', 'rule', 'adapter', 'template']],
  ['config.istio.io', 'v1alpha2', ['QuotaSpec', 'QuotaSpecBinding', 'HTTPAPISpec', 'HTTPAPISpecBinding']],
  ['config.istio.io', 'v1alpha2', ['apikey', 'authorization', 'checknothing', 'edge', 'kubernetes', 'listentry', 'logentry', 'metric', 'quota', 'reportnothing', 'tracespan']],
  ['config.istio.io', 'v1alpha2', ['bypass', 'circonus', 'cloudwatch', 'denier', 'dogstatsd', 'fluentd', 'kubernetesenv', 'listchecker', 'memquota', 'noop', 'opa']],
  ['config.istio.io', 'v1alpha2', ['prometheus', 'rbac', 'redisquota', 'servicecontrol', 'signalfx', 'solarwinds', 'stackdriver', 'statsd', 'stdio', 'zipkin']],
  ['authentication.istio.io', 'v1alpha1', ['Policy']],
  ['rbac.istio.io', 'v1alpha1', ['RbacConfig', 'ServiceRole', 'ServiceRoleBinding']],
  ['install.istio.io', 'v1alpha1', ['IstioOperator']],
];

/** Accepted whatever they hold, so that old manifests load; nothing acts on them. */
export const legacyKinds: readonly ConfigKind[] = [
  ...namesByGroup.flatMap(([group, version, kinds]) => kinds.map((kind) => legacy(group, kind, { version, scope: 'namespaced' }))),
  legacy('authentication.istio.io', 'MeshPolicy', { version: 'v1alpha1', scope: 'cluster' }),
  legacy('rbac.istio.io', 'ClusterRbacConfig', { version: 'v1alpha1', scope: 'cluster' }),
];

function legacy(group: string, kind: string, { version, scope }: { version: string; scope: ConfigKind['scope'] }): ConfigKind {
  const plural = kind.endsWith('y') ? `${kind.slice(0, -1)}ies` : `${kind}s`;
  return istioKind({ group, kind, plural: plural.toLowerCase(), versions: [version], scope, acts: 'later', body: 'object', schema: anything() });
}

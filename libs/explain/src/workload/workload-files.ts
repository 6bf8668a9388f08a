import { fail, ok, type Result } from '@meltemi/base';
import type { Config, ProxyConfig, ProxyConfigSpec } from '@meltemi/config';
import { isGroup, proxyFromNode, startingProxyConfig, type Proxy, type WorkloadGroupSpec } from '@meltemi/pilot';
import { stringify } from 'yaml';
import type { LoadedMesh } from '../load.ts';

/** What files are written for a workload outside of Kubernetes. */
export interface WorkloadFilesOptions {
  readonly namespace: string;
  /** Of the WorkloadGroup. */
  readonly name: string;
  readonly clusterId: string;
  /** host:port of pilot's xDS port; "": what the mesh's defaultConfig says, else Istio's name of it. */
  readonly discoveryAddress: string;
  /** host:port of citadel; "": as pilot's. */
  readonly citadelAddress: string;
  /** The workload's own address; "": its machine's first one. */
  readonly internalIp: string;
  /** How other networks reach it; "": the same. */
  readonly externalIp: string;
  /** Where the discovery address's name leads; "": DNS knows it. */
  readonly ingressIp: string;
  readonly autoRegister: boolean;
  readonly captureDns: boolean;
}

export interface WorkloadFiles {
  /** Name → text. */
  readonly files: ReadonlyMap<string, string>;
  /** spiffe://… of the workload. */
  readonly identity: string;
}

const defaultDiscovery = 'istiod.istio-system.svc:15012';

/**
 * What Istio's `x workload entry configure` writes for a WorkloadGroup: mesh.yaml (its ProxyConfig), cluster.env and hosts. The ProxyConfig is the mesh's, with the
 * ProxyConfig objects that concern the workload and the annotation proxy.istio.io/config of the group; the group's probe is its readinessProbe.
 */
export function workloadFiles(mesh: LoadedMesh, options: WorkloadFilesOptions): Result<WorkloadFiles> {
  const group = mesh.configs.find((config): config is Config<WorkloadGroupSpec> => isGroup(config) && config.key.namespace === options.namespace && config.key.name === options.name);
  if (!group) return fail('', `there is no WorkloadGroup ${options.namespace}/${options.name}`);
  const labels = labelsOf(group);
  const proxy = proxyOf(group, labels);
  if (!proxy.ok) return proxy;
  const proxyConfigs = mesh.configs.filter((config): config is Config<ProxyConfigSpec> => config.key.kind === 'ProxyConfig').toSorted(oldestFirst);
  const config = startingProxyConfig({ mesh: mesh.meshConfig, proxyConfigs }, proxy.value);
  const { trustDomain } = mesh.meshConfig;
  const serviceAccount = group.spec.template.serviceAccount || 'default';
  const variables = environment(group, { options, labels, config, trustDomain, serviceAccount });
  const discoveryAddress = options.discoveryAddress || config.discoveryAddress || defaultDiscovery;
  const files = new Map([
    ['mesh.yaml', stringify({ defaultConfig: { discoveryAddress, ...startSettings(config), ...(group.spec.probe === undefined ? {} : { readinessProbe: said(group.spec.probe) }), proxyMetadata: variables } })],
    ['cluster.env', environmentText({ ...variables, ...(options.citadelAddress === '' ? {} : { CA_ADDR: options.citadelAddress }) })],
    ['hosts', options.ingressIp === '' ? '' : `${options.ingressIp} ${discoveryAddress.replace(/:\d+$/, '')}\n`],
  ]);
  return ok({ files, identity: `spiffe://${trustDomain}/ns/${options.namespace}/sa/${serviceAccount}` });
}

/** Of a ProxyConfig, what counts where a proxy starts. */
function startSettings({ concurrency, drainDuration, terminationDrainDuration, readinessProbe, meshId }: ProxyConfig): object {
  return { ...(concurrency === undefined ? {} : { concurrency }), drainDuration: `${drainDuration / 1000}s`, ...(terminationDrainDuration === undefined ? {} : { terminationDrainDuration: `${terminationDrainDuration / 1000}s` }), ...(readinessProbe === undefined ? {} : { readinessProbe: said(readinessProbe) }), ...(meshId === '' ? {} : { meshId }) };
}

/** Without what stands for nothing said. */
function said(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== 0 && field !== '' && !(Array.isArray(field) && field.length === 0)).map(([name, field]) => [name, said(field)]));
}

interface Facts {
  readonly options: WorkloadFilesOptions;
  readonly labels: Readonly<Record<string, string>>;
  readonly config: ProxyConfig;
  readonly trustDomain: string;
  readonly serviceAccount: string;
}

/** Istio's names, sorted; what the mesh and ProxyConfig objects ask for comes on top. */
function environment(group: Config<WorkloadGroupSpec>, { options, labels, config, trustDomain, serviceAccount }: Facts): Readonly<Record<string, string>> {
  const { namespace, name } = options;
  const { network } = group.spec.template;
  const service = labels['app'] ?? name;
  const annotations = group.spec.metadata?.annotations ?? {};
  const variables: Readonly<Record<string, string>> = {
    CANONICAL_SERVICE: labels['service.istio.io/canonical-name'] ?? '', CANONICAL_REVISION: labels['service.istio.io/canonical-revision'] ?? '',
    ISTIO_INBOUND_PORTS: '*', ISTIO_LOCAL_EXCLUDE_PORTS: '22,15090,15021,15020', ISTIO_SERVICE_CIDR: '*', ISTIO_NAMESPACE: namespace, ISTIO_SERVICE: `${service}.${namespace}`,
    ISTIO_META_CLUSTER_ID: options.clusterId, ISTIO_META_DNS_CAPTURE: String(options.captureDns), ISTIO_META_MESH_ID: config.meshId, ISTIO_META_NETWORK: network, ISTIO_META_WORKLOAD_NAME: name,
    ISTIO_METAJSON_LABELS: JSON.stringify(labels),
    POD_NAMESPACE: namespace, SERVICE_ACCOUNT: serviceAccount, TRUST_DOMAIN: trustDomain,
    ...(Object.keys(annotations).length === 0 ? {} : { ISTIO_METAJSON_ANNOTATIONS: JSON.stringify(annotations) }),
    ...(options.autoRegister ? { ISTIO_META_AUTO_REGISTER_GROUP: name } : {}),
    ...(options.internalIp === '' ? {} : { ISTIO_SVC_IP: options.internalIp }),
    ...(options.externalIp === '' ? {} : { ISTIO_META_EXTERNAL_IP: options.externalIp }),
    ...config.proxyMetadata,
  };
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== '').toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** For a shell and for whoever reads it line by line: no value has more than one. */
function environmentText(variables: Readonly<Record<string, string>>): string {
  return Object.entries(variables).map(([name, value]) => `${name}='${value.replaceAll('\n', ' ').replaceAll("'", "'\\''")}'\n`).join('');
}

function labelsOf({ key, spec }: Config<WorkloadGroupSpec>): Readonly<Record<string, string>> {
  const labels = { ...spec.template.labels, ...spec.metadata?.labels };
  return {
    ...labels,
    'service.istio.io/canonical-name': labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels['app'] ?? key.name,
    'service.istio.io/canonical-revision': labels['service.istio.io/canonical-revision'] ?? labels['app.kubernetes.io/version'] ?? labels['version'] ?? 'latest',
  };
}

function proxyOf({ key, spec }: Config<WorkloadGroupSpec>, labels: Readonly<Record<string, string>>): Result<Proxy> {
  return proxyFromNode({
    id: `sidecar~127.0.0.1~${key.name}.${key.namespace}~${key.namespace}.svc.cluster.local`, cluster: '', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [],
    metadata: { NAMESPACE: key.namespace, LABELS: labels, ANNOTATIONS: spec.metadata?.annotations ?? {} },
  });
}

function oldestFirst(a: Config<ProxyConfigSpec>, b: Config<ProxyConfigSpec>): number {
  return a.meta.creationTimestamp < b.meta.creationTimestamp ? -1 : a.meta.creationTimestamp > b.meta.creationTimestamp ? 1 : a.key.name < b.key.name ? -1 : 1;
}

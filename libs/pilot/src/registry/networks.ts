import { meshNetworksFrom, type Config, type KubeServiceSpec, type MeshNetworksSpec } from '@meltemi/config';
import { parseIp } from '@meltemi/match';

type Labels = Readonly<Record<string, string>>;

const networkLabel = 'topology.istio.io/network';
const portLabel = 'networking.istio.io/gatewayPort';
/** Where gateways to other networks listen unless told otherwise. */
const defaultPort = 15_443;

/** Names with their addresses. */
export type ResolvedNames = ReadonlyMap<string, readonly string[]>;

/** A way into a network. */
export interface NetworkGateway {
  readonly network: string;
  /** The cluster whose Service it is, "" when written down by address. */
  readonly cluster: string;
  readonly address: string;
  readonly port: number;
}

/** The ways into other networks; there are none in a mesh of one network. */
export interface NetworkGateways {
  /** Changes with the content; "" when there is none. */
  readonly key: string;
  /** Weights are multiplied by it, so that they can be divided among gateways. */
  readonly scale: number;
  /** By "network/cluster" and by "network/"; by address and port. */
  readonly byNetwork: ReadonlyMap<string, readonly NetworkGateway[]>;
  /** Address ranges that MeshNetworks gives to networks: clients from there are the mesh's own. Sorted. */
  readonly ranges: readonly string[];
}

/** What MeshNetworks says, from an object of its own or the ConfigMap `istio`. */
export function meshNetworksOf(configs: readonly Config[]): MeshNetworksSpec {
  for (const config of configs) {
    const networks = config.key.kind === 'MeshNetworks' ? (config.spec as MeshNetworksSpec) : fromConfigMap(config);
    if (networks) return networks;
  }
  return noNetworks;
}

const noNetworks: MeshNetworksSpec = { networks: {} };

const read = new WeakMap<Config, MeshNetworksSpec | null>();

function fromConfigMap(config: Config): MeshNetworksSpec | undefined {
  if (config.key.name !== 'istio' || config.key.namespace !== 'istio-system') return undefined;
  let known = read.get(config);
  if (known === undefined) {
    const result = meshNetworksFrom(config);
    known = result?.ok === true ? result.value : null;
    read.set(config, known);
  }
  return known ?? undefined;
}

export interface NetworkInputs {
  readonly services: readonly Config<KubeServiceSpec>[];
  readonly namespaces: readonly Config[];
  readonly meshNetworks: MeshNetworksSpec;
}

/**
 * The network of an address: by label, by the root namespace's label, by what MeshNetworks says of the cluster, by address range; "" when
 * nobody says. Source: Istio's kube/controller/network.go.
 */
export function networkFinder(inputs: NetworkInputs, options: { readonly rootNamespace: string; readonly clusterId: string }): (address: string, labels: Labels) => string {
  const ofCluster = inputs.namespaces.find(({ meta }) => meta.name === options.rootNamespace)?.meta.labels[networkLabel];
  const networks = Object.entries(inputs.meshNetworks.networks);
  const ofRegistry = networks.find(([, { endpoints }]) => endpoints.some(({ fromRegistry }) => fromRegistry === options.clusterId))?.[0];
  const ranges = networks.flatMap(([name, { endpoints }]) => endpoints.flatMap(({ fromCidr }) => (fromCidr === undefined ? [] : [{ name, contains: rangeOf(fromCidr) }])));
  return (address, labels) => labels[networkLabel] ?? ofCluster ?? ofRegistry ?? ranges.find(({ contains }) => contains(address))?.name ?? '';
}

/** Source: Istio's network.go: gateways by address, and Services that are labelled or that MeshNetworks names. */
export function networkGateways(inputs: NetworkInputs, options: { readonly domain: string; readonly clusterId: string; readonly gatewayAddresses?: ResolvedNames }): NetworkGateways {
  const resolved = (address: string): readonly string[] => (parseIp(address) ? [address] : (options.gatewayAddresses?.get(address) ?? []));
  const all: NetworkGateway[] = [];
  const named = new Map<string, { readonly network: string; readonly port: number }[]>();
  for (const [network, { gateways }] of Object.entries(inputs.meshNetworks.networks)) {
    for (const { address, port, registryServiceName } of gateways) {
      for (const one of address === undefined ? [] : resolved(address)) all.push({ network, cluster: '', address: one, port });
      if (registryServiceName !== undefined) named.set(registryServiceName, [...(named.get(registryServiceName) ?? []), { network, port }]);
    }
  }
  for (const service of inputs.services) {
    const { meta, spec } = service;
    const ways = labelledWays(service) ?? named.get(`${meta.name}.${meta.namespace}.svc.${options.domain}`) ?? [];
    for (const address of ways.length > 0 ? externalAddresses(service).flatMap(resolved) : []) {
      for (const { network, port } of ways) all.push({ network, cluster: options.clusterId, address, port: spec.type === 'NodePort' ? (spec.ports.find((one) => one.port === port)?.nodePort ?? port) : port });
    }
  }
  const byNetwork = new Map<string, NetworkGateway[]>();
  const sorted = [...new Map(all.map((gateway) => [JSON.stringify(gateway), gateway])).values()].toSorted((a, b) => (a.address === b.address ? a.port - b.port : a.address < b.address ? -1 : 1));
  for (const gateway of sorted) {
    for (const key of new Set([`${gateway.network}/`, `${gateway.network}/${gateway.cluster}`])) byNetwork.set(key, [...(byNetwork.get(key) ?? []), gateway]);
  }
  return { key: sorted.length === 0 ? '' : JSON.stringify(sorted), scale: [...byNetwork.values()].reduce((scale, { length }) => leastCommonMultiple(scale, length), 1), byNetwork, ranges: rangesOf(inputs.meshNetworks) };
}

function rangesOf({ networks }: MeshNetworksSpec): readonly string[] {
  return [...new Set(Object.values(networks).flatMap(({ endpoints }) => endpoints.flatMap(({ fromCidr }) => fromCidr ?? [])))].toSorted();
}

/** Names of gateways that somebody has to look up; whoever builds the next context hands their addresses in. */
export function gatewayNames(configs: readonly Config[]): string[] {
  const of = (kind: string) => configs.filter(({ key }) => key.kind === kind);
  const gateways = Object.values(meshNetworksOf([...of('MeshNetworks'), ...of('ConfigMap')]).networks).flatMap((network) => network.gateways);
  const services = (of('Service') as Config<KubeServiceSpec>[]).filter((service) => {
    const host = `${service.meta.name}.${service.meta.namespace}.svc.`;
    return service.key.group === '' && (labelledWays(service) ?? gateways.filter(({ registryServiceName }) => registryServiceName?.startsWith(host))).length > 0;
  });
  const all = [...gateways.flatMap(({ address }) => address ?? []), ...services.flatMap(externalAddresses)];
  return [...new Set(all)].filter((address) => address !== '' && parseIp(address) === null).toSorted();
}

/** Those of the endpoint's own cluster, else all of its network. */
export function gatewaysFor({ byNetwork }: NetworkGateways, network: string, cluster: string): readonly NetworkGateway[] {
  return byNetwork.get(`${network}/${cluster}`) ?? byNetwork.get(`${network}/`) ?? [];
}

function labelledWays({ meta, spec }: Config<KubeServiceSpec>): { readonly network: string; readonly port: number }[] | undefined {
  const network = meta.labels[networkLabel];
  if (network === undefined || network === '') return undefined;
  const written = Number(meta.labels[portLabel]);
  const port = Number.isInteger(written) && written > 0 ? written : defaultPort;
  return spec.ports.some((one) => one.port === port) ? [{ network, port }] : [];
}

/** externalIPs, and what a load balancer was given (status): addresses, or a name where it has none. */
function externalAddresses({ spec, status }: Config<KubeServiceSpec>): string[] {
  const balancer = status?.['loadBalancer'] as { readonly ingress?: unknown } | undefined;
  const ingress = Array.isArray(balancer?.ingress) ? (balancer.ingress as unknown[]) : [];
  const given = ingress.flatMap((one) => (typeof one === 'object' && one !== null && 'ip' in one && typeof one.ip === 'string' ? [one.ip] : typeof one === 'object' && one !== null && 'hostname' in one && typeof one.hostname === 'string' ? [one.hostname] : []));
  return [...spec.externalIPs, ...given];
}

function rangeOf(text: string): (address: string) => boolean {
  const [prefix = '', bits = ''] = text.split('/');
  const base = parseIp(prefix);
  if (!base) return () => false;
  const length = bits === '' ? base.length * 8 : Number(bits);
  return (address) => {
    const one = parseIp(address);
    return one !== null && one.length === base.length && one.every((byte, index) => ((byte ^ (base[index] ?? 0)) & maskOf(length - index * 8)) === 0);
  };
}

/** The bits of a byte that belong to a prefix with `bits` left to compare. */
function maskOf(bits: number): number {
  return bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff;
}

function leastCommonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a * b) / x;
}

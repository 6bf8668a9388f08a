import { addTo } from '@meltemi/base';
import { isIP } from 'node:net';
import { NameTable, type NameTable_NameInfo } from '@meltemi/api/gen/istio/networking/nds/v1/nds.ts';
import { packAny, typeNameOf } from '@meltemi/api';
import { resourceSet, xdsResource, xdsType, type ResourceSet } from '@meltemi/xds';
import type { PushContext } from '../../push-context/push-context.ts';
import { scopeOf, type Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { changedEndpoints } from '../../registry/changed-endpoints.ts';
import { serviceKey, type Endpoint, type Service } from '../../registry/model.ts';
import type { Registry } from '../../registry/registry-types.ts';
import { isV6, serviceAddresses } from '../addresses.ts';
import { cached } from '../cache.ts';

/** Names of a Kubernetes multi-cluster service: short forms would be those of the cluster's own service. */
const clusterSetDomain = '.clusterset.local';

type Table = Record<string, NameTable_NameInfo>;

interface Built {
  readonly registry: Registry;
  readonly set: ResourceSet;
}

/** The one name table of a proxy; the same object for all who see the same, and as long as nothing in it changed. */
export function nameTableSet(push: PushContext, proxy: Proxy): ResourceSet {
  const scope = scopeOf(push, proxy);
  const { families, network, clusterId, dnsCapture } = proxy;
  const memo = cached<{ last?: Built; headless?: ReadonlySet<string> }>(scope, { kind: 'name-table', families, network, clusterId, dnsCapture }, () => ({}));
  if (memo.last?.registry === push.registry) return memo.last.set;
  memo.headless ??= new Set(servicesOf(scope).filter(isHeadless).map(serviceKey));
  if (memo.last && memo.headless.isDisjointFrom(changedEndpoints(memo.last.registry, push.registry))) {
    memo.last = { registry: push.registry, set: memo.last.set };
    return memo.last.set;
  }
  const any = packAny(typeNameOf(xdsType.nameTable), NameTable, { table: nameTable(push, proxy, scope) });
  // one table for a proxy: it has no name, as in Istio
  memo.last = { registry: push.registry, set: resourceSet(xdsType.nameTable, [xdsResource('', any)]) };
  return memo.last.set;
}

/** Host → addresses, of all services in a proxy's scope. Source: Istio's pkg/dns/server BuildNameTable. */
export function nameTable(push: PushContext, proxy: Proxy, scope: Scope = scopeOf(push, proxy)): Table {
  const table: Table = {};
  for (const service of servicesOf(scope)) {
    const ips = isHeadless(service) ? headless(push, proxy, { service, table }) : virtualIps(push, proxy, service);
    if (ips.length > 0) enter(table, service, ips);
  }
  // by name, so that equal content has equal bytes
  return Object.fromEntries(Object.entries(table).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function servicesOf(scope: Scope): readonly Service[] {
  return scope.egress.flatMap(({ services }) => services);
}

/** Nobody gave it an address: its clients dial endpoints. */
function isHeadless(service: Service): boolean {
  return service.addresses.length === 0 && service.autoAddresses.length === 0 && service.resolution === 'passthrough';
}

/** Blocks of addresses are nothing to answer with. A Kubernetes service that has addresses of another family only is not known here. */
function virtualIps(push: PushContext, { families, ...rest }: Proxy, service: Service): string[] {
  const usable = (address: string) => service.registry !== 'kubernetes' || (isV6(address) ? families.v6 : families.v4);
  return serviceAddresses(push, { families, ...rest }, service).filter((address) => isIP(address) !== 0 && usable(address));
}

/** Addresses of its endpoints in the proxy's network; Pods that have a name of their own get an entry each, those of the proxy's cluster before others of that name. */
function headless(push: PushContext, proxy: Proxy, { service, table }: { readonly service: Service; readonly table: Table }): string[] {
  if (service.ports.length === 0) return [];
  const found: string[] = [];
  const pods = { near: new Map<string, string[]>(), far: new Map<string, string[]>() };
  for (const endpoint of endpointsOnce(push, service)) {
    const [sameNetwork, sameCluster] = [sameOrUnknown(endpoint.network, proxy.network), sameOrUnknown(endpoint.cluster, proxy.clusterId)];
    if (!sameNetwork) continue;
    if (endpoint.podHost !== '') addTo(sameCluster ? pods.near : pods.far, endpoint.podHost, endpoint.address);
    if (sameCluster || push.features.multiclusterHeadless) found.push(endpoint.address);
  }
  const domain = service.hostname.slice(service.hostname.indexOf('.') + 1);
  for (const [podHost, ips] of [...pods.far, ...pods.near]) table[`${podHost}.${domain}`] = { ips, registry: registryName(service), namespace: service.namespace, shortname: podHost, altHosts: [] };
  return found;
}

/** One per address, whatever the port. */
function endpointsOnce(push: PushContext, service: Service): Iterable<Endpoint> {
  const byAddress = new Map<string, Endpoint>();
  for (const list of push.registry.endpoints.get(serviceKey(service))?.values() ?? [])
    for (const endpoint of list) if (isIP(endpoint.address) !== 0 && (endpoint.healthy || service.publishNotReady) && !byAddress.has(endpoint.address)) byAddress.set(endpoint.address, endpoint);
  return byAddress.values();
}

/** A Kubernetes service has its name to itself; ServiceEntries of one host are one entry. */
function enter(table: Table, service: Service, ips: readonly string[]): void {
  const { hostname } = service;
  const known = table[hostname];
  if (known?.registry === 'Kubernetes') return;
  const kubernetes = service.registry === 'kubernetes';
  const short = kubernetes && !hostname.endsWith(clusterSetDomain) ? { shortname: service.name, namespace: service.namespace } : { shortname: '', namespace: '' };
  table[hostname] = { ips: [...new Set([...(kubernetes ? [] : known?.ips ?? []), ...ips])], registry: registryName(service), ...short, altHosts: [] };
}

function registryName({ registry }: Service): string {
  return registry === 'kubernetes' ? 'Kubernetes' : 'External';
}

function sameOrUnknown(a: string, b: string): boolean {
  return a === '' || b === '' || a === b;
}

import { addTo } from '@meltemi/base';
import { serviceEntry } from '../kinds/service-entry/kind.ts';
import type { StringMap } from '../kinds/types.ts';
import type { Mesh } from './mesh.ts';

const clusterDomain = 'svc.cluster.local';

/** A service a host name may mean: a Kubernetes Service or a host of a ServiceEntry. */
export interface HostedService {
  readonly ports: readonly number[];
  /** Of a ServiceEntry with a workload selector. */
  readonly workloadLabels: StringMap;
}

/** reviews in namespace shop → reviews.shop.svc.cluster.local; names with a dot and wildcards stay as they are. */
export function fullHost(namespace: string, host: string): string {
  return host.startsWith('*') || host.includes('.') ? host : `${host}.${namespace}.${clusterDomain}`;
}

/** namespace/name of the service a host names, in `namespace` unless it is a full name. */
export function serviceNameOf(namespace: string, host: string): string {
  const parts = /^(.+)\.(.+)\.svc\.cluster\.local$/.exec(host);
  return parts === null ? `${namespace}/${host}` : `${parts[2]}/${parts[1]}`;
}

/** "*", or the namespaces an object is exported to. */
export function exportScopes(exportTo: readonly string[], namespace: string): readonly string[] {
  if (exportTo.length === 0 || exportTo.includes('*')) return ['*'];
  return [...new Set(exportTo.map((one) => (one === '.' ? namespace : one)))];
}

/** Finds the service a host means for an object in some namespace. */
export interface ServiceHosts {
  find(host: string, from: { readonly namespace: string; readonly exportTo: readonly string[] }): HostedService | undefined;
}

/** Indexes the hosts of Services and ServiceEntries by who may see them. A Service hides a ServiceEntry of the same host. */
export function serviceHosts(mesh: Mesh): ServiceHosts {
  const byHost = new Map<string, HostedService>();
  for (const entry of mesh.of(serviceEntry)) {
    const { namespace } = entry.key;
    const service = { ports: entry.spec.ports.map((port) => port.number), workloadLabels: entry.spec.workloadSelector?.labels ?? {} };
    for (const host of entry.spec.hosts) for (const scope of exportScopes(entry.spec.exportTo, namespace)) byHost.set(`${scope}/${fullHost(namespace, host)}`, service);
  }
  for (const { object, name, namespace, ports } of mesh.services) {
    const exportTo = (object.meta.annotations['networking.istio.io/exportTo'] ?? '').split(',').map((one) => one.trim()).filter((one) => one !== '');
    for (const scope of exportScopes(exportTo, namespace)) byHost.set(`${scope}/${fullHost(namespace, name)}`, { ports: ports.map((port) => port.port), workloadLabels: {} });
  }
  const bySuffix = new Map<string, { readonly scope: string; readonly service: HostedService }[]>();
  for (const [key, service] of byHost) {
    const slash = key.indexOf('/');
    if (key[slash + 1] === '*') addTo(bySuffix, key.slice(slash + 2), { scope: key.slice(0, slash), service });
  }
  return {
    find(host, { namespace, exportTo }) {
      const full = fullHost(namespace, host);
      const scopes = ['*', ...(exportTo.length === 0 ? [namespace] : exportTo.map((one) => (one === '.' ? namespace : one)))];
      for (const scope of scopes) {
        const exact = byHost.get(`${scope}/${full}`);
        if (exact) return exact;
      }
      const suffix = host.replace(/^\*/, '');
      // The most specific wildcard is the longest suffix.
      for (let at = 0; at <= suffix.length; at++) {
        const found = bySuffix.get(suffix.slice(at))?.find(({ scope }) => scope === '*' || scope === namespace);
        if (found) return found.service;
      }
      return undefined;
    },
  };
}

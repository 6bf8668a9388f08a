import type { Config, WorkloadEntrySpec } from '@meltemi/config';
import { healthChecked } from '../registry/entry-health.ts';
import type { Proxy } from '../proxy/proxy.ts';

/** What of a WorkloadGroup makes entries. */
export interface WorkloadGroupSpec {
  readonly metadata?: { readonly labels?: Readonly<Record<string, string>>; readonly annotations?: Readonly<Record<string, string>> };
  readonly template: WorkloadEntrySpec;
  /** Proxies ask their applications so, and tell. */
  readonly probe?: unknown;
}

const group = 'networking.istio.io';
const longestName = 253;

/** The WorkloadGroup that a proxy wants to be registered by (metadata AUTO_REGISTER_GROUP), or undefined. */
export function wantedGroup({ metadata }: Proxy): string | undefined {
  const name = metadata['AUTO_REGISTER_GROUP'];
  return typeof name === 'string' && name !== '' ? name : undefined;
}

/** True for WorkloadGroups. */
export function isGroup(config: Config): config is Config<WorkloadGroupSpec> {
  return config.key.kind === 'WorkloadGroup' && config.key.group === group;
}

/** The name of a proxy's entry. Source: Istio's autoregisteredWorkloadEntryName. */
export function entryName(groupName: string, { addresses, network }: Proxy): string {
  return [groupName, addresses[0].replaceAll(':', '-'), ...(network === '' ? [] : [network])].join('-').slice(-longestName);
}

/** The WorkloadEntry of a proxy: its group's template, with the proxy's own labels, network and locality. Source: Istio's workloadEntryFromGroup. */
export function entryFromGroup(config: Config<WorkloadGroupSpec>, proxy: Proxy): Config<WorkloadEntrySpec> {
  const { metadata, template } = config.spec;
  const name = entryName(config.key.name, proxy);
  const { 'istio-locality': _locality, ...own } = proxy.labels;
  const labels = { ...template.labels, ...metadata?.labels, ...own };
  const { region, zone, subZone } = proxy.locality;
  const annotations = { 'istio.io/autoRegistrationGroup': config.key.name, ...(config.spec.probe === undefined ? {} : { [healthChecked]: 'true' }), ...metadata?.annotations };
  return {
    key: { group, kind: 'WorkloadEntry', namespace: config.key.namespace, name },
    apiVersion: config.apiVersion,
    meta: { ...config.meta, name, labels, annotations },
    spec: {
      ...template, address: proxy.addresses[0], labels,
      network: proxy.network === '' ? template.network : proxy.network,
      locality: region === '' ? template.locality : [region, zone, subZone].filter((part) => part !== '').join('/'),
    },
  };
}

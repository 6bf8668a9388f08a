import { Cluster_DnsLookupFamily } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';

/** IPv4 where the proxy has one, as in Istio: both families only when it has both. */
export function lookupFamily(push: PushContext, { addresses }: Pick<Proxy, 'addresses'>): Cluster_DnsLookupFamily {
  const v6 = addresses.some((address) => address.includes(':'));
  const v4 = addresses.some((address) => !address.includes(':'));
  if (v4 && v6 && push.features.dualStack) return Cluster_DnsLookupFamily.ALL;
  return v6 && !v4 ? Cluster_DnsLookupFamily.V6_ONLY : Cluster_DnsLookupFamily.V4_ONLY;
}

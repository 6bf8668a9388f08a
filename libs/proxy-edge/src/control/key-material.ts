import { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener as ListenerMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { FieldError } from '@meltemi/base';
import { compileCluster, compileListener, type Extensions, type TlsCommon } from '@meltemi/snapshot';
import { missingSecrets, tlsMaterial, type SecretLookup } from '../transport/tls-material.ts';
import type { ResourceStore } from './resource-store.ts';

/**
 * What of the static resources' keys and certificates cannot be used: files that are missing, keys that are of another certificate. Workers would say so
 * when they start; secrets that are yet to come are not waited for.
 */
export function unusableKeys(store: ResourceStore, secrets: SecretLookup, extensions: Extensions): FieldError[] {
  const problems: FieldError[] = [];
  const check = (path: string, tls: TlsCommon | null) => {
    if (tls === null || missingSecrets(tls, secrets).length > 0) return;
    const material = tlsMaterial(tls, secrets);
    if (!material.ok) problems.push(...material.error.map(({ path: within, message }) => ({ path: within === '' ? path : `${path}.${within}`, message })));
  };
  for (const { name, bytes, origin } of store.held('listeners')) {
    const compiled = origin === 'static' ? compileListener(ListenerMessage.decode(bytes), extensions) : null;
    if (compiled?.ok) for (const { tls } of compiled.value.value.allFilterChains) check(`listener "${name}"`, tls);
  }
  for (const { name, bytes, origin } of store.held('clusters')) {
    const compiled = origin === 'static' ? compileCluster(ClusterMessage.decode(bytes), extensions) : null;
    if (compiled?.ok) for (const { tls } of [compiled.value.value, ...compiled.value.value.transportSocketMatches]) check(`cluster "${name}"`, tls);
  }
  return problems;
}

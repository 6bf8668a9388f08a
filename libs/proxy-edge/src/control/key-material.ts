import { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { Listener as ListenerMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import type { FieldError } from '@meltemi/base';
import { compileCluster, compileListener, type TlsCommon } from '@meltemi/snapshot';
import { missingSecrets, tlsMaterial, type SecretLookup } from '../transport/tls-material.ts';
import { extensionsFor, type Compiler } from './compile.ts';
import type { ResourceStore } from './resource-store.ts';

/**
 * What of the keys and certificates of resources cannot be used: files that are missing, keys that are of another certificate. Workers would say so
 * when they start; secrets that are yet to come are not waited for.
 */
export function unusableKeys(store: ResourceStore, secrets: SecretLookup, compiler: Compiler): FieldError[] {
  const problems: FieldError[] = [];
  const check = (path: string, tls: TlsCommon | null) => {
    if (tls === null || missingSecrets(tls, secrets).length > 0) return;
    const material = tlsMaterial(tls, secrets);
    if (!material.ok) problems.push(...material.error.map(({ path: within, message }) => ({ path: within === '' ? path : `${path}.${within}`, message })));
  };
  for (const { name, bytes } of store.held('listeners')) {
    const compiled = compileListener(ListenerMessage.decode(bytes), extensionsFor(compiler, bytes));
    if (compiled.ok) for (const { tls } of compiled.value.value.allFilterChains) check(`listener "${name}"`, tls);
  }
  for (const { name, bytes } of store.held('clusters')) {
    const compiled = compileCluster(ClusterMessage.decode(bytes), compiler.extensions);
    if (compiled.ok) for (const { tls } of [compiled.value.value, ...compiled.value.value.transportSocketMatches]) check(`cluster "${name}"`, tls);
  }
  return problems;
}

import type { ExtensionProvider, MeshConfigSpec } from '@meltemi/config';
import { outboundCluster } from '@meltemi/xds';
import type { PushContext } from '../../push-context/push-context.ts';

/** Providers that exist without being written. Source: Istio's pkg/config/mesh. */
const builtIn: readonly ExtensionProvider[] = [
  { name: 'prometheus', prometheus: {} },
  { name: 'envoy', envoyFileAccessLog: { path: '/dev/stdout', omitEmptyValues: false } },
];

/** A provider by name, in whatever case; one of MeshConfig hides the built-in one of its name. */
export function providerNamed({ extensionProviders }: Pick<MeshConfigSpec, 'extensionProviders'>, name: string): ExtensionProvider | undefined {
  const wanted = name.toLowerCase();
  return [...extensionProviders, ...builtIn].find((provider) => provider.name.toLowerCase() === wanted);
}

/** Where a provider's service is. */
export interface ProviderCluster {
  readonly hostname: string;
  readonly cluster: string;
}

/** The cluster of a provider's service: "host", or "namespace/host"; mesh services may be written short ("telemetry.istio-system"). */
export function providerCluster(push: PushContext, { service, port }: { readonly service: string; readonly port: number }): ProviderCluster | undefined {
  const slash = service.indexOf('/');
  const namespace = slash < 0 ? undefined : service.slice(0, slash);
  const host = service.slice(slash + 1);
  for (const hostname of [host, `${host}.svc.${push.domain}`, `${host}.${push.domain}`]) {
    const found = push.services.byHost.get(hostname)?.find((candidate) => (namespace === undefined || candidate.namespace === namespace) && candidate.ports.some(({ number }) => number === port));
    if (found) return { hostname, cluster: outboundCluster(port, hostname) };
  }
  return undefined;
}

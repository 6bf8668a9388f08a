import { selects, overlaidProxyConfig, type Config, type ProxyConfig, type ProxyConfigSpec } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from './push-context.ts';

const annotation = 'proxy.istio.io/config';

const known = new WeakMap<object, WeakMap<object, ProxyConfig>>();

/**
 * What of a proxy's ProxyConfig resources are made: MeshConfig's defaultConfig, what the proxy was started with (metadata PROXY_CONFIG), and the
 * annotation of its workload on top (metadata ANNOTATIONS). Parts that are wrong are left out, as in Istio.
 */
export function effectiveProxyConfig(push: Pick<PushContext, 'mesh'>, proxy: Proxy): ProxyConfig {
  const { defaultConfig } = push.mesh;
  let byProxy = known.get(defaultConfig);
  if (!byProxy) known.set(defaultConfig, (byProxy = new WeakMap()));
  let config = byProxy.get(proxy);
  if (!config) byProxy.set(proxy, (config = proxyConfigParts(proxy).reduce<ProxyConfig>(overlaid, defaultConfig)));
  return config;
}

function overlaid(base: ProxyConfig, part: unknown): ProxyConfig {
  const result = overlaidProxyConfig(base, part);
  return result.ok ? result.value : base;
}

/**
 * The same for whoever starts the proxy of a workload: besides, the ProxyConfig objects of the root namespace, of its namespace, and the one that
 * picks it, which even its annotation yields to. The oldest of several counts. Source: Istio's proxy_config.go.
 */
export function startingProxyConfig(push: Pick<PushContext, 'mesh' | 'proxyConfigs'>, proxy: Proxy): ProxyConfig {
  const { rootNamespace, defaultConfig } = push.mesh;
  const wide = (namespace: string) => push.proxyConfigs.find(({ meta, spec }) => meta.namespace === namespace && !picks(spec));
  const own = push.proxyConfigs.find(({ meta, spec }) => meta.namespace === proxy.namespace && picks(spec) && selects(spec.selector?.matchLabels ?? {}, proxy.labels));
  const namespaces = new Set([rootNamespace, proxy.namespace]);
  const shared = [...namespaces].map(wide).reduce(started, defaultConfig);
  return started(proxyConfigParts(proxy).reduce<ProxyConfig>(overlaid, shared), own);
}

function picks({ selector }: ProxyConfigSpec): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length > 0;
}

function started(base: ProxyConfig, object: Config<ProxyConfigSpec> | undefined): ProxyConfig {
  if (!object) return base;
  const { concurrency, environmentVariables, image } = object.spec;
  return { ...base, ...(concurrency === undefined ? {} : { concurrency }), ...(image ? { image } : {}), proxyMetadata: { ...base.proxyMetadata, ...environmentVariables } };
}

/** What is laid over the mesh's defaults: JSON, or YAML text. */
export function proxyConfigParts({ metadata }: Pick<Proxy, 'metadata'>): readonly unknown[] {
  const annotations = metadata['ANNOTATIONS'];
  const written = typeof annotations === 'object' && annotations !== null ? (annotations as Readonly<Record<string, unknown>>)[annotation] : undefined;
  return [metadata['PROXY_CONFIG'], written].filter((part) => part !== undefined && part !== '');
}

import { overlaidProxyConfig, type ProxyConfig } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from './push-context.ts';

const annotation = 'proxy.istio.io/config';

const known = new WeakMap<object, WeakMap<object, ProxyConfig>>();

/**
 * The ProxyConfig of one proxy: MeshConfig's defaultConfig, what the proxy was started with (metadata PROXY_CONFIG), and the annotation of its
 * workload on top (metadata ANNOTATIONS). Parts that are wrong are left out, as in Istio. ProxyConfig objects say nothing that is told to proxies:
 * concurrency, environment and image are of their start.
 */
export function effectiveProxyConfig(push: Pick<PushContext, 'mesh'>, proxy: Proxy): ProxyConfig {
  const { defaultConfig } = push.mesh;
  let byProxy = known.get(defaultConfig);
  if (!byProxy) known.set(defaultConfig, (byProxy = new WeakMap()));
  let config = byProxy.get(proxy);
  if (!config) {
    config = proxyConfigParts(proxy).reduce<ProxyConfig>((base, part) => {
      const overlaid = overlaidProxyConfig(base, part);
      return overlaid.ok ? overlaid.value : base;
    }, defaultConfig);
    byProxy.set(proxy, config);
  }
  return config;
}

/** What is laid over the mesh's defaults: JSON, or YAML text. */
export function proxyConfigParts({ metadata }: Pick<Proxy, 'metadata'>): readonly unknown[] {
  const annotations = metadata['ANNOTATIONS'];
  const written = typeof annotations === 'object' && annotations !== null ? (annotations as Readonly<Record<string, unknown>>)[annotation] : undefined;
  return [metadata['PROXY_CONFIG'], written].filter((part) => part !== undefined && part !== '');
}

import type { ProxyConfig, ProxyTracing, TelemetryTracing, TracingCustomTag } from '@meltemi/config';
import { HttpConnectionManager_Tracing } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import { effectiveProxyConfig } from '../../push-context/proxy-config.ts';
import { appliedTelemetry } from '../../push-context/telemetry.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import type { Direction } from '../features/feature.ts';
import { create } from '../message.ts';
import { customTags, istioTags, type TagSettings } from './custom-tags.ts';
import { providerNamed } from './providers.ts';
import { configuredTracer, legacyTracer, type Tracer } from './tracers.ts';

/** What an HTTP connection manager is told of tracing. */
export interface ManagerTracing {
  readonly tracing?: HttpConnectionManager_Tracing;
  /** Request ids decide who is sampled. */
  readonly useRequestId: boolean;
}

interface Spec {
  provider: string | undefined;
  disabled: boolean;
  sampling: number | undefined;
  tags: Readonly<Record<string, TracingCustomTag>> | undefined;
  useRequestId: boolean;
  istioTags: boolean;
}

/**
 * Tracing as Telemetry and the default provider ask for it; when they say nothing, as MeshConfig does. Source: Istio's tracing.go. Deviation: what only a
 * bootstrap could say is said here for our own proxy (the collector of defaultConfig.tracing), and without a collector it does not trace at all.
 */
export function managerTracing(push: PushContext, proxy: Proxy, direction: Direction): ManagerTracing {
  const config = effectiveProxyConfig(push, proxy);
  const spec = specOf(push, appliedTelemetry(push, proxy).tracing, direction);
  if (!spec) return { useRequestId: true, ...fromMeshConfig(push, proxy, config) };
  const provider = spec.disabled || spec.provider === undefined ? undefined : providerNamed(push.mesh, spec.provider);
  const tracer = provider && configuredTracer(push, proxy, provider);
  if (!tracer) return { useRequestId: true };
  const sampling = spec.sampling ?? legacySampling(push, config.tracing);
  const tracing = settings(tracer, sampling, { istioTags: spec.istioTags ? istioTags(proxy) : [], tags: spec.tags ?? config.tracing?.customTags ?? {}, ours: proxy.meltemi }, config.tracing);
  return { tracing, useRequestId: spec.useRequestId };
}

/** undefined: nobody speaks of tracing but MeshConfig's older fields. Later entries override earlier ones, field by field. */
function specOf({ mesh }: PushContext, entries: readonly TelemetryTracing[], direction: Direction): Spec | undefined {
  const [byDefault] = mesh.defaultProviders.tracing;
  if (entries.length === 0 && byDefault === undefined) return undefined;
  const mode = direction === 'inbound' ? 'SERVER' : 'CLIENT';
  const spec: Spec = { provider: byDefault, disabled: false, sampling: undefined, tags: undefined, useRequestId: true, istioTags: true };
  for (const entry of entries) {
    if (entry.match && entry.match.mode !== 'CLIENT_AND_SERVER' && entry.match.mode !== mode) continue;
    spec.provider = entry.providers[0]?.name ?? spec.provider;
    spec.disabled = entry.disableSpanReporting ?? spec.disabled;
    spec.sampling = entry.randomSamplingPercentage ?? spec.sampling;
    if (Object.keys(entry.customTags).length > 0) spec.tags = entry.customTags;
    spec.useRequestId = entry.useRequestIdForTraceSampling ?? spec.useRequestId;
    spec.istioTags = entry.enableIstioTags ?? spec.istioTags;
  }
  return spec;
}

function fromMeshConfig(push: PushContext, proxy: Proxy, config: ProxyConfig): Pick<ManagerTracing, 'tracing'> {
  if (!push.mesh.enableTracing) return {};
  const tracer = proxy.meltemi ? legacyTracer(push, proxy, config) : { spawnUpstreamSpan: false, maxTagLength: 0 };
  if (!tracer) return {};
  const withIstioTags = config.tracing?.enableIstioTags ?? true;
  return { tracing: settings(tracer, legacySampling(push, config.tracing), { istioTags: withIstioTags ? istioTags(proxy) : [], tags: config.tracing?.customTags ?? {}, ours: proxy.meltemi }, config.tracing) };
}

function legacySampling({ features }: PushContext, tracing: ProxyTracing | undefined): number {
  return tracing?.sampling === undefined || tracing.sampling === 0 ? features.traceSampling : tracing.sampling;
}

function settings(tracer: Tracer, sampling: number, tags: TagSettings, legacy: ProxyTracing | undefined): HttpConnectionManager_Tracing {
  const maxPathTagLength = tracer.maxTagLength || legacy?.maxPathTagLength || 0;
  return create(HttpConnectionManager_Tracing, {
    clientSampling: { value: 100 },
    randomSampling: { value: sampling },
    overallSampling: { value: 100 },
    customTags: customTags(tags),
    ...(maxPathTagLength > 0 ? { maxPathTagLength } : {}),
    ...(tracer.spawnUpstreamSpan ? { spawnUpstreamSpan: true } : {}),
    ...(tracer.provider ? { provider: tracer.provider } : {}),
  });
}

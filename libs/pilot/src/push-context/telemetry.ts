import type { Config, TelemetryAccessLogging, TelemetryMetrics, TelemetrySpec, TelemetryTracing } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from './push-context.ts';
import { policiesFor } from './workload-policies.ts';

/** What Telemetry objects say to one proxy; later entries override earlier ones. */
export interface AppliedTelemetry {
  readonly metrics: readonly TelemetryMetrics[];
  /** By object. */
  readonly logging: readonly (readonly TelemetryAccessLogging[])[];
  readonly tracing: readonly TelemetryTracing[];
}

/**
 * The objects for a proxy, in the order they apply: the root namespace's, its own namespace's, then those that pick it. Of several for a whole
 * namespace the oldest counts. Source: Istio's telemetry.go.
 */
export function telemetriesFor(push: Pick<PushContext, 'telemetry' | 'features'>, proxy: Pick<Proxy, 'namespace' | 'labels'>): Config<TelemetrySpec>[] {
  const all = policiesFor(push.telemetry, proxy, push.features);
  const wide = (namespace: string) => all.filter((config) => config.meta.namespace === namespace && !isPicky(config.spec)).slice(0, 1);
  const own = proxy.namespace === push.telemetry.rootNamespace ? [] : wide(proxy.namespace);
  return [...wide(push.telemetry.rootNamespace), ...own, ...all.filter((config) => config.meta.namespace === proxy.namespace && isPicky(config.spec))];
}

function isPicky({ selector, targetRef, targetRefs }: TelemetrySpec): boolean {
  return Object.keys(selector?.matchLabels ?? {}).length > 0 || targetRef !== undefined || targetRefs.length > 0;
}

/** The sections of these objects. */
export function appliedTelemetry(push: PushContext, proxy: Pick<Proxy, 'namespace' | 'labels'>): AppliedTelemetry {
  const specs = telemetriesFor(push, proxy).map(({ spec }) => spec);
  return {
    metrics: specs.flatMap((spec) => spec.metrics),
    logging: specs.map((spec) => spec.accessLogging).filter((entries) => entries.length > 0),
    tracing: specs.flatMap((spec) => spec.tracing),
  };
}

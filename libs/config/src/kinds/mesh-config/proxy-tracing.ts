import { list, map, object } from '../../schema/containers.ts';
import { bool, double, int, oneOf, string } from '../../schema/scalars.ts';
import { optional } from '../../schema/schema.ts';
import type { Schema } from '../../schema/schema.ts';
import { clientTls } from '../destination-rule/schema.ts';
import type { ClientTlsSettings } from '../destination-rule/types.ts';
import { stackdriver } from './tracing-provider.ts';

/** ProxyConfig.tracing: what Telemetry and extension providers replaced. At most one tracer is set. */
export interface ProxyTracing {
  readonly zipkin?: { readonly address: string };
  readonly datadog?: { readonly address: string };
  readonly lightstep?: { readonly address: string; readonly accessToken: string };
  readonly stackdriver?: object;
  readonly openCensusAgent?: { readonly address: string; readonly context: readonly string[] };
  readonly customTags: Readonly<Record<string, ProxyCustomTag>>;
  readonly maxPathTagLength: number;
  /** Percent; absent: 1. */
  readonly sampling?: number;
  readonly tlsSettings?: ClientTlsSettings;
  readonly enableIstioTags?: boolean;
}

/** At most one is set. */
export interface ProxyCustomTag {
  readonly literal?: { readonly value: string };
  readonly environment?: { readonly name: string; readonly defaultValue: string };
  readonly header?: { readonly name: string; readonly defaultValue: string };
}

const address = optional(object<{ readonly address: string }>({ address: string() }));
const named = optional(object<{ readonly name: string; readonly defaultValue: string }>({ name: string(), defaultValue: string() }));

const customTag = object<ProxyCustomTag>(
  { literal: optional(object<{ readonly value: string }>({ value: string() })), environment: named, header: named },
  { oneofs: [{ keys: ['literal', 'environment', 'header'] }] },
);

const tracers = {
  zipkin: address,
  datadog: address,
  lightstep: optional(object<NonNullable<ProxyTracing['lightstep']>>({ address: string(), accessToken: string() })),
  stackdriver: optional(stackdriver) as Schema<object | undefined>,
  openCensusAgent: optional(
    object<NonNullable<ProxyTracing['openCensusAgent']>>({ address: string(), context: list(oneOf(['UNSPECIFIED', 'W3C_TRACE_CONTEXT', 'GRPC_BIN', 'CLOUD_TRACE_CONTEXT', 'B3'])) }),
  ),
};

export const proxyTracing = object<ProxyTracing>(
  {
    ...tracers,
    customTags: map(customTag),
    maxPathTagLength: int('uint32'),
    sampling: optional(double({ min: 0, max: 100 })),
    tlsSettings: optional(clientTls),
    enableIstioTags: optional(bool()),
  },
  { oneofs: [{ keys: Object.keys(tracers) }] },
);

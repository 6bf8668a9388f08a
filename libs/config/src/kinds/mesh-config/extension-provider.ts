import { object, strings, struct } from '../../schema/containers.ts';
import { bool, int, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { extAuthzGrpc, extAuthzHttp } from './ext-authz-provider.ts';
import type { EnvoyAls, EnvoyFileAccessLog, ExtensionProvider } from './types.ts';

const als = object<EnvoyAls>({
  service: required(string()),
  port: required(int('uint32', { min: 1, max: 65535 })),
  logName: string(),
  filterStateObjectsToLog: strings(),
  additionalRequestHeadersToLog: strings(),
  additionalResponseHeadersToLog: strings(),
  additionalResponseTrailersToLog: strings(),
});

const fileLog = object<EnvoyFileAccessLog>({
  path: string(),
  logFormat: optional(
    object<NonNullable<EnvoyFileAccessLog['logFormat']>>({ text: optional(string()), labels: optional(struct()) }, { oneofs: [{ keys: ['text', 'labels'] }] }),
  ),
  omitEmptyValues: bool(),
});

const untyped = optional(struct());
const providers = {
  prometheus: untyped,
  envoyFileAccessLog: optional(fileLog),
  envoyHttpAls: optional(als),
  envoyTcpAls: optional(als),
  envoyExtAuthzHttp: optional(extAuthzHttp),
  envoyExtAuthzGrpc: optional(extAuthzGrpc),
  zipkin: untyped,
  lightstep: untyped,
  datadog: untyped,
  stackdriver: untyped,
  opencensus: untyped,
  skywalking: untyped,
  opentelemetry: untyped,
  envoyOtelAls: untyped,
  sds: untyped,
};

export const extensionProvider = object<ExtensionProvider>(
  { name: required(string({ minLength: 1 })), ...providers },
  { oneofs: [{ keys: Object.keys(providers), required: true }] },
);

/** What an attribute holds. `duration` is milliseconds, `timestamp` milliseconds since the epoch; both are numbers. */
export type AttributeType = 'string' | 'int64' | 'bool' | 'duration' | 'timestamp';
export type AttributeValue = string | number | boolean;

/** One event as Mixer sees it. An attribute nobody knew is absent, never "unknown": that word belongs to labels. */
export type Attributes = ReadonlyMap<string, AttributeValue>;

/** Every attribute this program produces. Names are Mixer's; the ones after the gap are ours, for Istio's newer labels. */
export const vocabulary = {
  'context.reporter.kind': 'string',
  'context.reporter.uid': 'string',
  'context.protocol': 'string',
  'context.proxy_error_code': 'string',
  'source.workload.name': 'string',
  'source.workload.namespace': 'string',
  'source.principal': 'string',
  'destination.workload.name': 'string',
  'destination.workload.namespace': 'string',
  'destination.principal': 'string',
  'destination.service.host': 'string',
  'destination.service.name': 'string',
  'destination.service.namespace': 'string',
  'request.id': 'string',
  'request.method': 'string',
  'request.host': 'string',
  'request.path': 'string',
  'request.useragent': 'string',
  'request.size': 'int64',
  'request.time': 'timestamp',
  'response.code': 'int64',
  'response.size': 'int64',
  'response.duration': 'duration',
  'response.grpc_status': 'string',
  'connection.event': 'string',
  'connection.id': 'string',
  'connection.mtls': 'bool',
  'connection.received.bytes': 'int64',
  'connection.sent.bytes': 'int64',
  'connection.duration': 'duration',
  'source.ip': 'string',
  'destination.port': 'int64',

  'source.app': 'string',
  'source.version': 'string',
  'source.canonical_service': 'string',
  'source.canonical_revision': 'string',
  'source.cluster': 'string',
  'destination.app': 'string',
  'destination.version': 'string',
  'destination.canonical_service': 'string',
  'destination.canonical_revision': 'string',
  'destination.cluster': 'string',
  'context.reporter.counted': 'bool',
  'request.url_path': 'string',
  'response.code_details': 'string',
  'request.messages': 'int64',
  'response.messages': 'int64',
} as const satisfies Readonly<Record<string, AttributeType>>;

export type AttributeName = keyof typeof vocabulary;

/** Values of `context.reporter.kind`, as Mixer named them: the client's sidecar is outbound (label reporter="source"), the server's inbound. */
export const outbound = 'outbound';
export const inbound = 'inbound';

/** Values of `connection.event`. */
export type ConnectionEvent = 'open' | 'continue' | 'close';

/** A text attribute, or `otherwise` (default "unknown") when it is absent. */
export function textOf(attributes: Attributes, name: AttributeName, otherwise = 'unknown'): string {
  const value = attributes.get(name);
  return value === undefined || value === '' ? otherwise : String(value);
}

/** A number attribute, 0 when it is absent. */
export function numberOf(attributes: Attributes, name: AttributeName): number {
  const value = attributes.get(name);
  return typeof value === 'number' ? value : 0;
}

import type { AttributeName } from './vocabulary.ts';

/** Where a proxy puts what it knows of both ends: access log entry → common_properties.metadata.filter_metadata[this]. */
export const peerMetadataKey = 'meltemi.peer';

type Side = 'source' | 'destination';

const side = (name: Side): [string, AttributeName][] => [
  [`${name}_workload`, `${name}.workload.name`],
  [`${name}_workload_namespace`, `${name}.workload.namespace`],
  [`${name}_principal`, `${name}.principal`],
  [`${name}_app`, `${name}.app`],
  [`${name}_version`, `${name}.version`],
  [`${name}_canonical_service`, `${name}.canonical_service`],
  [`${name}_canonical_revision`, `${name}.canonical_revision`],
  [`${name}_cluster`, `${name}.cluster`],
];

/** Text fields of the peer metadata, which are Istio's metric labels by name, and the attribute each becomes. */
export const peerFields: readonly (readonly [field: string, attribute: AttributeName])[] = [
  ...side('source'),
  ...side('destination'),
  ['destination_service', 'destination.service.host'],
  ['destination_service_name', 'destination.service.name'],
  ['destination_service_namespace', 'destination.service.namespace'],
  ['request_protocol', 'context.protocol'],
  ['response_flags', 'context.proxy_error_code'],
  ['grpc_response_status', 'response.grpc_status'],
];

import { FilterConfig } from '@meltemi/api/gen/envoy/extensions/filters/http/grpc_stats/v3/config.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { create, createAny, typed } from '../message.ts';
import type { HttpFeature } from './feature.ts';

/** Messages of gRPC streams, for the standard metrics to count, on ports that say gRPC. */
export const grpcStats: HttpFeature = {
  name: 'envoy.filters.http.grpc_stats',
  filter: ({ grpc }) => (grpc === true ? create(HttpFilter, typed('envoy.filters.http.grpc_stats', config)) : undefined),
};

const config = createAny('envoy.extensions.filters.http.grpc_stats.v3.FilterConfig', FilterConfig, { emitFilterState: true, perMethodStatSpecifier: { $case: 'statsForAllMethods', value: false } });

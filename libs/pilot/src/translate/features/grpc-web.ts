import { GrpcWeb } from '@meltemi/api/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { create, createAny, typed } from '../message.ts';
import type { HttpFeature } from './feature.ts';

/** Browsers' gRPC becomes gRPC, on ports that say GRPC-WEB. */
export const grpcWeb: HttpFeature = {
  name: 'envoy.filters.http.grpc_web',
  filter: (context) => (context.grpcWeb === true ? create(HttpFilter, typed('envoy.filters.http.grpc_web', createAny('envoy.extensions.filters.http.grpc_web.v3.GrpcWeb', GrpcWeb))) : undefined),
};

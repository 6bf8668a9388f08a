import type { ApiConfigSource, ConfigSource } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import type { GrpcService, GrpcService_EnvoyGrpc, GrpcService_GoogleGrpc } from '@meltemi/api/gen/envoy/config/core/v3/grpc_service.ts';
import { oneof, refuse, use, warn, type FieldTable } from '@meltemi/route';

const ownBackoff = warn('reconnects follow a back-off of their own: 0.25 s, doubling up to 4 s');

export const configSourceFields: FieldTable<ConfigSource> = {
  authorities: refuse('xdstp authorities are not supported'),
  configSourceSpecifier: oneof({ path: use, pathConfigSource: use, apiConfigSource: use, ads: use, self: use }),
  initialFetchTimeout: use, resourceApiVersion: use,
};

export const apiSourceFields: FieldTable<ApiConfigSource> = {
  apiType: use, transportApiVersion: use, clusterNames: use, grpcServices: use,
  refreshDelay: warn('is for REST'), requestTimeout: warn('is for REST'),
  rateLimitSettings: warn('requests to the xDS server are not limited: each answers a response or a change'),
  setNodeOnFirstMessageOnly: use,
  configValidators: refuse('config validators are not supported'),
};

export const grpcServiceFields: FieldTable<GrpcService> = {
  targetSpecifier: oneof({ envoyGrpc: use, googleGrpc: use }),
  timeout: warn('streams have no deadline'), initialMetadata: use, retryPolicy: ownBackoff,
};

export const envoyGrpcFields: FieldTable<GrpcService_EnvoyGrpc> = {
  clusterName: use, authority: use, retryPolicy: ownBackoff, maxReceiveMessageLength: use, skipEnvoyHeaders: use,
};

export const googleGrpcFields: FieldTable<GrpcService_GoogleGrpc> = {
  targetUri: use, channelCredentials: use,
  callCredentials: refuse('call credentials are not supported'),
  statPrefix: use,
  credentialsFactoryName: refuse('credential factories are not supported: use ssl_credentials'),
  config: refuse('credential factories are not supported: use ssl_credentials'),
  perStreamBufferLimitBytes: warn('is not tuned'), channelArgs: warn('channel arguments are not passed on'),
};

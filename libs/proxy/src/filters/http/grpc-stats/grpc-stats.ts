import { ok } from '@meltemi/base';
import type { HttpFilterFactory } from '../../../filter.ts';

/** Accepted so that chains written for Envoy load. The counts by gRPC method it would keep are in istio.stats by response. */
export const grpcStatsFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.grpc_stats',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.grpc_stats.v3.FilterConfig'],
  stage: 'stats',
  trust: 'trusted-config-only',
  parse(_bytes, ctx) {
    ctx.warn(ctx.path, 'gRPC statistics by method are not kept');
    return ok({});
  },
  bind: () => ({ events: 0, create: () => null }),
};

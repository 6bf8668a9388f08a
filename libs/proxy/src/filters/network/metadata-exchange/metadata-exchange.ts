import { ok } from '@meltemi/base';
import type { NetworkFilterFactory } from '../../../filter.ts';

/**
 * Deviation: Istio's proxies send their metadata ahead of the first bytes when both ends agreed on its ALPN. We never agree on it
 * (no prefix is sent, none is expected), so the filter is accepted and does nothing; TCP peers are known by endpoint metadata and SPIFFE id.
 */
export const metadataExchangeFilter: NetworkFilterFactory = {
  name: 'istio.metadata_exchange',
  typeUrls: ['type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange'],
  trust: 'trusted-config-only',
  parse: () => ok({}),
  bind: () => ({ create: () => null }),
};

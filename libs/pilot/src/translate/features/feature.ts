import type { DnsCacheConfig } from '@meltemi/api/gen/envoy/extensions/common/dynamic_forward_proxy/v3/dns_cache.ts';
import type { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { MeshConfigSpec } from '@meltemi/config';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';

/** Which way the traffic of a listener goes, as seen by the workload; a gateway's is neither. */
export type Direction = 'inbound' | 'outbound' | 'gateway';

/** What a filter's translation may read. */
export interface FeatureContext {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly mesh: MeshConfigSpec;
  readonly direction: Direction;
  /** The port is declared GRPC or GRPC-WEB. Default false. */
  readonly grpc?: boolean;
  /** The port is declared GRPC-WEB. Default false. */
  readonly grpcWeb?: boolean;
  /** Caches of names that requests of the listener may be looked up in. Default none. */
  readonly dnsCaches?: readonly DnsCacheConfig[];
}

/** The control plane's half of an HTTP filter: one, several in order, or (undefined) this proxy or listener does without it. */
export interface HttpFeature {
  readonly name: string;
  readonly filter: (context: FeatureContext) => HttpFilter | readonly HttpFilter[] | undefined;
}

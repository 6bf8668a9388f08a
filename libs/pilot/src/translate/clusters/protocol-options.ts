import type { ConnectionPoolSettings, MeshConfigSpec } from '@meltemi/config';
import { Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions as CommonHttpOptions, KeepaliveSettings, UpstreamHttpProtocolOptions } from '@meltemi/api/gen/envoy/config/core/v3/protocol.ts';
import type { MatchPredicate } from '@meltemi/api/gen/envoy/config/common/matcher/v3/matcher.ts';
import { HeaderMatcher } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import { HttpProtocolOptions } from '@meltemi/api/gen/envoy/extensions/upstreams/http/v3/http_protocol_options.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import { isHttp, isHttp2, type Protocol } from '../../registry/model.ts';
import { create, createAny, duration, optionalDuration } from '../message.ts';

const key = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

export interface ProtocolChoice {
  readonly protocol: Protocol;
  readonly pool: ConnectionPoolSettings | undefined;
  readonly mesh: MeshConfigSpec;
  /** TLS that this proxy originates: server name and checked name follow the request's host when the user named none. */
  readonly autoSni?: boolean;
  readonly autoSanValidation?: boolean;
  /** Statuses that outlier detection takes for errors; empty: 500 and above. */
  readonly errorStatuses?: readonly number[];
}

/** True when the cluster speaks HTTP/2 whatever the client spoke. */
export function upgradesToHttp2({ protocol, pool, mesh }: ProtocolChoice): boolean {
  if (pool?.http?.useClientProtocol === true) return false;
  if (isHttp2(protocol)) return true;
  const policy = pool?.http?.h2UpgradePolicy ?? 'DEFAULT';
  // who asks for it by rule knows that the port speaks HTTP, whatever it is called
  return policy === 'UPGRADE' || (policy === 'DEFAULT' && isHttp(protocol) && mesh.h2UpgradePolicy === 'UPGRADE');
}

/** How a cluster speaks HTTP; undefined for protocols we only pass on, unless they need TLS names. */
export function protocolOptions(choice: ProtocolChoice): { [key: string]: Any } {
  const { protocol, pool } = choice;
  const http2Only = upgradesToHttp2(choice);
  const auto = (protocol === 'AUTO' && !http2Only) || pool?.http?.useClientProtocol === true;
  const limits = commonOptions(pool);
  if (!isHttp(protocol) && !auto && !http2Only && choice.autoSni !== true && choice.autoSanValidation !== true && !limits && (choice.errorStatuses ?? []).length === 0) return {};
  const http1 = create(Http1ProtocolOptions);
  const http2 = http2Options(pool);
  const options = create(HttpProtocolOptions, {
    upstreamProtocolOptions: auto
      ? { $case: 'useDownstreamProtocolConfig', value: { httpProtocolOptions: http1, http2ProtocolOptions: http2, http3ProtocolOptions: undefined } }
      : {
          $case: 'explicitHttpConfig',
          value: { protocolConfig: http2Only ? { $case: 'http2ProtocolOptions', value: http2 } : { $case: 'httpProtocolOptions', value: http1 } },
        },
  });
  if (limits) options.commonHttpProtocolOptions = limits;
  if (choice.errorStatuses !== undefined && choice.errorStatuses.length > 0) options.outlierDetection = { errorMatcher: anyStatus(choice.errorStatuses) };
  if (choice.autoSni === true || choice.autoSanValidation === true) {
    options.upstreamHttpProtocolOptions = create(UpstreamHttpProtocolOptions, { autoSni: choice.autoSni === true, autoSanValidation: choice.autoSanValidation === true });
  }
  return { [key]: createAny(key, HttpProtocolOptions, options) };
}

/** How long connections live. An idle timeout written for TCP holds for HTTP that has none of its own. */
function commonOptions(pool: ConnectionPoolSettings | undefined): CommonHttpOptions | undefined {
  const requests = pool?.http?.maxRequestsPerConnection ?? 0;
  const idle = pool?.http?.idleTimeout ?? pool?.tcp?.idleTimeout;
  if (idle === undefined && requests <= 0 && pool?.tcp?.maxConnectionDuration === undefined) return undefined;
  return create(CommonHttpOptions, {
    idleTimeout: optionalDuration(idle),
    maxConnectionDuration: optionalDuration(pool?.tcp?.maxConnectionDuration),
    ...(requests > 0 ? { maxRequestsPerConnection: requests } : {}),
  });
}

function http2Options(pool: ConnectionPoolSettings | undefined): Http2ProtocolOptions {
  const keepalive = pool?.http?.http2KeepAlive;
  const streams = pool?.http?.maxConcurrentStreams ?? 0;
  return create(Http2ProtocolOptions, {
    maxConcurrentStreams: streams > 0 ? streams : 1_073_741_824,
    ...(keepalive
      ? { connectionKeepalive: create(KeepaliveSettings, { interval: optionalDuration(keepalive.interval), timeout: duration(keepalive.timeout ?? 20_000) }) }
      : {}),
  });
}

/** Source: Istio's applyOutlierDetectionErrorCodes. */
function anyStatus(statuses: readonly number[]): MatchPredicate {
  const rules = statuses.map((status): MatchPredicate => ({ rule: { $case: 'httpResponseHeadersMatch', value: { headers: [exactHeader(':status', String(status))] } } }));
  const [only, ...others] = rules;
  return only !== undefined && others.length === 0 ? only : { rule: { $case: 'orMatch', value: { rules } } };
}

function exactHeader(name: string, exact: string): HeaderMatcher {
  return create(HeaderMatcher, { name, headerMatchSpecifier: { $case: 'stringMatch', value: create(StringMatcher, { matchPattern: { $case: 'exact', value: exact } }) } });
}

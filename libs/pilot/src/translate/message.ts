import { packAny, typeUrlPrefix, type MessageCodec } from '@meltemi/api';
import { CidrRange, type Address, SocketAddress } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import { ApiConfigSource, ApiConfigSource_ApiType, ApiVersion, ConfigSource } from '@meltemi/api/gen/envoy/config/core/v3/config_source.ts';
import { GrpcService, GrpcService_EnvoyGrpc } from '@meltemi/api/gen/envoy/config/core/v3/grpc_service.ts';
import { FractionalPercent_DenominatorType, type FractionalPercent } from '@meltemi/api/gen/envoy/type/v3/percent.ts';
import type { RegexMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/regex.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import type { Duration } from '@meltemi/api/gen/google/protobuf/duration.ts';

const empty = new Uint8Array(0);

/** A message with nothing set, and which of its fields hold a list or a map: each message has its own. */
interface Blank {
  readonly message: object;
  readonly lists: readonly string[];
  readonly maps: readonly string[];
}

const blanks = new WeakMap<object, Blank>();

/** A whole message from the fields that matter; the rest holds proto3's defaults. */
export function create<T extends object>(codec: MessageCodec<T>, fields: Partial<T> = {}): T {
  const { message, lists, maps } = blanks.get(codec) ?? blankOf(codec);
  const made: Record<string, unknown> = { ...message };
  for (const name of lists) made[name] = [];
  for (const name of maps) made[name] = {};
  return Object.assign(made, fields) as T;
}

function blankOf<T extends object>(codec: MessageCodec<T>): Blank {
  const message = codec.decode(empty);
  const entries = Object.entries(message);
  const lists = entries.filter(([, value]) => Array.isArray(value)).map(([name]) => name);
  const maps = entries.filter(([, value]) => typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value)).map(([name]) => name);
  const blank = { message, lists, maps };
  blanks.set(codec, blank);
  return blank;
}

/** `create` packed as an Any; `typeName` is the full message name. */
export function createAny<T extends object>(typeName: string, codec: MessageCodec<T>, fields: Partial<T> = {}): Any {
  return packAny(typeName, codec, create(codec, fields));
}

/** A named extension's config: `{name, typedConfig}`, for filters, transport sockets, loggers. */
export function typed(name: string, any: Any): { name: string; configType: { $case: 'typedConfig'; value: Any } } {
  return { name, configType: { $case: 'typedConfig', value: any } };
}

export { typeUrlPrefix };

export function duration(ms: number): Duration {
  const nanos = Math.round(ms * 1e6);
  return { seconds: BigInt(Math.floor(nanos / 1e9)), nanos: nanos % 1e9 };
}

/** undefined stays undefined: the field keeps Envoy's default. */
export function optionalDuration(ms: number | undefined): Duration | undefined {
  return ms === undefined ? undefined : duration(ms);
}

/** An IP and port, or unix:///path as a pipe. */
export function address(host: string, port: number): Address {
  if (host.startsWith('unix://')) return { address: { $case: 'pipe', value: { path: host.slice('unix://'.length), mode: 0 } } };
  return { address: { $case: 'socketAddress', value: create(SocketAddress, { address: host, portSpecifier: { $case: 'portValue', value: port } }) } };
}

/** "10.0.0.0/8", or one address as /32 or /128. */
export function cidr(text: string): CidrRange {
  const [prefix = '', length] = text.split('/');
  return create(CidrRange, { addressPrefix: prefix, prefixLen: length === undefined ? (prefix.includes(':') ? 128 : 32) : Number(length) });
}

export function regex(pattern: string): RegexMatcher {
  return { engineType: undefined, regex: pattern };
}

/** 0…100 with four decimals kept. */
export function fractionalPercent(percent: number): FractionalPercent {
  return { numerator: Math.round(percent * 10_000), denominator: FractionalPercent_DenominatorType.MILLION };
}

/** "over the ADS stream this came from" */
export function adsSource(): ConfigSource {
  return create(ConfigSource, { configSourceSpecifier: { $case: 'ads', value: {} }, initialFetchTimeout: duration(0), resourceApiVersion: ApiVersion.V3 });
}

/** As `adsSource`, but waited for no longer than Envoy's 15 seconds: a Secret may not exist, and must not keep what else a port serves from opening. Source: Istio's SDSAdsConfig. */
export function secretsSource(): ConfigSource {
  return create(ConfigSource, { configSourceSpecifier: { $case: 'ads', value: {} }, resourceApiVersion: ApiVersion.V3 });
}

/** A gRPC config source over the named bootstrap cluster; Istio's proxies have their secrets behind "sds-grpc". */
export function grpcSource(clusterName: string): ConfigSource {
  const source = create(ApiConfigSource, {
    apiType: ApiConfigSource_ApiType.GRPC,
    transportApiVersion: ApiVersion.V3,
    setNodeOnFirstMessageOnly: true,
    grpcServices: [envoyGrpc(clusterName)],
  });
  return create(ConfigSource, { configSourceSpecifier: { $case: 'apiConfigSource', value: source }, initialFetchTimeout: duration(0), resourceApiVersion: ApiVersion.V3 });
}

export function envoyGrpc(clusterName: string, authority = ''): GrpcService {
  return create(GrpcService, { targetSpecifier: { $case: 'envoyGrpc', value: create(GrpcService_EnvoyGrpc, { clusterName, authority }) } });
}

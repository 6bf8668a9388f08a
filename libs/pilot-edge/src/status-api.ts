import { status } from '@grpc/grpc-js';
import type { DistributionRequest, DistributionResponse, ProxyState, ProxyStatusRequest, ProxyStatusResponse, StatusServiceServer, TypeStatus as ApiTypeStatus } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { xdsType, type TypeStatus } from '@meltemi/xds';
import { ApiError, unary } from './api-call.ts';
import type { ConfigCache } from './config-cache.ts';
import type { Discovery } from './discovery.ts';
import type { Client } from './discovery-types.ts';
import { distributionOf } from './distribution.ts';

/** Types proxy-status always shows, in this order. */
const shownTypes = [xdsType.cluster, xdsType.listener, xdsType.endpoint, xdsType.route] as const;

const maxKeys = 1000;
const maxNamedProxies = 100;

export interface StatusApiParts {
  readonly cache: ConfigCache;
  readonly discovery: Discovery;
  readonly version: string;
  /** This pilot's name. */
  readonly node: string;
}

/** What `meltemi proxy-status` and `version` ask. */
export function statusService(parts: StatusApiParts): StatusServiceServer {
  return {
    proxyStatus: (call, callback) => callback(null, proxyStatus(parts, call.request)),
    distribution: unary((request: DistributionRequest) => distribution(parts, request)),
    version: (_call, callback) => callback(null, { version: parts.version, node: parts.node }),
  };
}

/** Which of the proxies connected here have these objects, refuse them or lag. */
export async function distribution(parts: StatusApiParts, { keys, maxNamed }: DistributionRequest): Promise<DistributionResponse> {
  if (keys.length > maxKeys) throw new ApiError(status.INVALID_ARGUMENT, `${keys.length} objects in one request; the limit is ${maxKeys}`);
  return { pilot: parts.node, objects: await distributionOf(parts, keys, { maxNamed: Math.min(maxNamed, maxNamedProxies) }) };
}

/** The connected proxies' states, sorted by id. */
export function proxyStatus(parts: StatusApiParts, request: ProxyStatusRequest): ProxyStatusResponse {
  const proxies = parts.discovery.clients().filter((client) => request.proxyId === '' || client.proxy.name === request.proxyId).map((client) => proxyState(client, parts.node));
  return {
    proxies: proxies.sort((a, b) => (a.proxyId < b.proxyId ? -1 : 1)),
    quarantinedObjects: parts.cache.entries().filter((entry) => entry.errors.length > 0).length + parts.discovery.setAside.length,
    sourceProblems: parts.cache.problems().length,
  };
}

function proxyState(client: Client, pilot: string): ProxyState {
  const types = new Map(client.connection.status().map((type) => [type.typeUrl, type]));
  const urls = [...new Set<string>([...shownTypes, ...types.keys()])];
  return {
    proxyId: client.proxy.name,
    clusterId: client.proxy.clusterId,
    pilot,
    version: client.agentVersion,
    protocol: client.connection.hello.protocol,
    types: urls.map((typeUrl) => typeState(typeUrl, types.get(typeUrl))),
    connectedAt: new Date(client.connectedAtMs).toISOString(),
    address: client.connection.hello.peer.address,
  };
}

function typeState(typeUrl: string, type: TypeStatus | undefined): ApiTypeStatus {
  if (!type) return { typeUrl, state: 'NOT SENT', sentVersion: '', ackedVersion: '', error: '' };
  return { typeUrl, state: type.lastNack ? 'ERROR' : type.state, sentVersion: type.sentVersion, ackedVersion: type.ackedVersion, error: type.lastNack?.message ?? '' };
}

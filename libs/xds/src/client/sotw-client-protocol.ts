import { BinaryReader } from '@bufbuild/protobuf/wire';
import { Resource, type DiscoveryRequest, type DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import { xdsResource, type XdsResource } from '../resource-set.ts';
import { emptyMeansWildcard, healthInformationType, responseIsComplete, shortTypeName, xdsType } from '../resource-types.ts';
import { nackCode, ttlMs, unhealthyCode, type ClientProtocol, type ClientSubscription, type Reading } from './client-protocol.ts';
import type { RejectedResource } from './client-types.ts';

const wrapperType = 'type.googleapis.com/envoy.service.discovery.v3.Resource';

/** The state-of-the-world protocol, client's end. */
export const sotwClientProtocol: ClientProtocol<DiscoveryRequest, DiscoveryResponse> = {
  changesAnytime: false,
  first: (subscription) => request(subscription),
  change: (subscription) => request(subscription),
  typeUrlOf: (response) => response.typeUrl,
  read,
  answer: (subscription, reading, error) => ({
    ...request(subscription),
    responseNonce: reading.nonce,
    errorDetail: error === undefined ? undefined : { code: nackCode, message: error, details: [] },
  }),
  health: (unhealthy) => ({
    versionInfo: '', resourceNames: [], resourceLocators: [], typeUrl: healthInformationType, responseNonce: '',
    errorDetail: unhealthy === undefined ? undefined : { code: unhealthyCode, message: unhealthy, details: [] },
  }),
  withNode: (bare, node) => ({ ...bare, node }),
};

/** Versions of single resources do not exist here: content decides what changed. */
function read(subscription: ClientSubscription, response: DiscoveryResponse): Reading {
  const added = new Map<string, XdsResource>();
  const present = new Set<string>();
  const malformed: RejectedResource[] = [];
  const ttls = new Map<string, number>();
  for (const [index, wire] of response.resources.entries()) {
    const { resource, heartbeat } = unwrapResource(wire);
    if (heartbeat && subscription.held.has(heartbeat.name)) {
      present.add(heartbeat.name);
      ttls.set(heartbeat.name, heartbeat.ttlMs);
      continue;
    }
    const label = `resource ${index}`;
    if (resource?.any.typeUrl !== response.typeUrl) {
      malformed.push({ name: resource?.name ?? label, reason: `is not a readable ${shortTypeName(response.typeUrl)} resource` });
      continue;
    }
    present.add(resource.name);
    if (!subscription.wildcard && !subscription.names.has(resource.name)) continue;
    if (resource.ttlMs !== undefined) ttls.set(resource.name, resource.ttlMs);
    if (subscription.held.get(resource.name) !== resource.version) added.set(resource.name, resource);
  }
  const removed = responseIsComplete(response.typeUrl) ? [...subscription.held.keys()].filter((name) => !present.has(name)) : [];
  return { nonce: response.nonce, version: response.versionInfo, added: [...added.values()], removed, ttls, malformed };
}

/** What one entry of a DiscoveryResponse says; neither field when it cannot be read. */
export interface UnwrappedResource {
  readonly resource?: XdsResource;
  /** A wrapper without a body: what is held stays so for another while. */
  readonly heartbeat?: { readonly name: string; readonly ttlMs: number };
}

/** The name of every resource type we know is its first field; a name table has none. Servers may also send a wrapper that states the name and how long it holds. */
export function unwrapResource(any: Any): UnwrappedResource {
  try {
    if (any.typeUrl !== wrapperType) return { resource: xdsResource(nameOf(any), any) };
    const { name, resource, ttl } = Resource.decode(any.value);
    if (!resource) return ttl ? { heartbeat: { name, ttlMs: ttlMs(ttl) } } : {};
    const wrapped = xdsResource(name === '' ? nameOf(resource) : name, resource);
    return { resource: ttl ? { ...wrapped, ttlMs: ttlMs(ttl) } : wrapped };
  } catch {
    return {};
  }
}

function nameOf({ typeUrl, value }: Any): string {
  if (typeUrl === xdsType.nameTable || typeUrl === xdsType.proxyConfig) return '';
  const reader = new BinaryReader(value);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === 2) return reader.string();
    reader.skip(wireType);
  }
  return '';
}

function request(subscription: ClientSubscription): DiscoveryRequest {
  const legacy = subscription.wildcard && subscription.names.size === 0 && emptyMeansWildcard(subscription.typeUrl);
  return {
    versionInfo: subscription.acceptedVersion,
    resourceNames: legacy ? [] : [...(subscription.wildcard ? ['*'] : []), ...subscription.names],
    resourceLocators: [],
    typeUrl: subscription.typeUrl,
    responseNonce: subscription.nonce,
  };
}

import { BinaryReader } from '@bufbuild/protobuf/wire';
import { Resource, type DiscoveryRequest, type DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import { xdsResource, type XdsResource } from '../resource-set.ts';
import { emptyMeansWildcard, responseIsComplete, shortTypeName } from '../resource-types.ts';
import { nackCode, type ClientProtocol, type ClientSubscription, type Reading } from './client-protocol.ts';
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
  withNode: (bare, node) => ({ ...bare, node }),
};

/** Versions of single resources do not exist here: content decides what changed. */
function read(subscription: ClientSubscription, response: DiscoveryResponse): Reading {
  const added = new Map<string, XdsResource>();
  const present = new Set<string>();
  const malformed: RejectedResource[] = [];
  for (const [index, wire] of response.resources.entries()) {
    const resource = unwrap(wire);
    const label = `resource ${index}`;
    if (resource?.any.typeUrl !== response.typeUrl) {
      malformed.push({ name: resource?.name ?? label, reason: `is not a readable ${shortTypeName(response.typeUrl)} resource` });
      continue;
    }
    present.add(resource.name);
    if (!subscription.wildcard && !subscription.names.has(resource.name)) continue;
    if (subscription.held.get(resource.name) !== resource.version) added.set(resource.name, resource);
  }
  const removed = responseIsComplete(response.typeUrl) ? [...subscription.held.keys()].filter((name) => !present.has(name)) : [];
  return { nonce: response.nonce, version: response.versionInfo, added: [...added.values()], removed, malformed };
}

/** The name of every resource type we know is its first field. Servers may also send a wrapper that states the name. */
function unwrap(any: Any): XdsResource | undefined {
  try {
    if (any.typeUrl !== wrapperType) return xdsResource(firstField(any.value), any);
    const wrapper = Resource.decode(any.value);
    return wrapper.resource && xdsResource(wrapper.name === '' ? firstField(wrapper.resource.value) : wrapper.name, wrapper.resource);
  } catch {
    return undefined;
  }
}

function firstField(bytes: Uint8Array): string {
  const reader = new BinaryReader(bytes);
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

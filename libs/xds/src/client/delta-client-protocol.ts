import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import type { XdsResource } from '../resource-set.ts';
import { emptyMeansWildcard, healthInformationType, shortTypeName } from '../resource-types.ts';
import { nackCode, ttlMs, unhealthyCode, type ClientProtocol, type ClientSubscription, type NameChange, type Reading } from './client-protocol.ts';
import type { RejectedResource } from './client-types.ts';

/** The incremental protocol, client's end. Source: xDS protocol specification, "Incremental xDS". */
export const deltaClientProtocol: ClientProtocol<DeltaDiscoveryRequest, DeltaDiscoveryResponse> = {
  changesAnytime: true,
  first,
  change: (subscription, change) => ({ ...request(subscription.typeUrl), ...namesOf(change) }),
  typeUrlOf: (response) => response.typeUrl,
  read,
  answer: (subscription, reading, error) => ({
    ...request(subscription.typeUrl),
    responseNonce: reading.nonce,
    errorDetail: error === undefined ? undefined : { code: nackCode, message: error, details: [] },
  }),
  health: (unhealthy) => ({ ...request(healthInformationType), errorDetail: unhealthy === undefined ? undefined : { code: unhealthyCode, message: unhealthy, details: [] } }),
  withNode: (bare, node) => ({ ...bare, node }),
};

/** A lone wildcard goes out as an empty list, which servers older than "*" understand too. */
function first(subscription: ClientSubscription): DeltaDiscoveryRequest {
  const legacy = subscription.wildcard && subscription.names.size === 0 && emptyMeansWildcard(subscription.typeUrl);
  const subscribe = legacy ? [] : [...(subscription.wildcard ? ['*'] : []), ...subscription.names];
  return { ...request(subscription.typeUrl), resourceNamesSubscribe: subscribe, initialResourceVersions: Object.fromEntries(subscription.held) };
}

function read(subscription: ClientSubscription, response: DeltaDiscoveryResponse): Reading {
  const added = new Map<string, XdsResource>();
  const malformed: RejectedResource[] = [];
  const ttls = new Map<string, number>();
  for (const { name, version, resource, ttl } of response.resources) {
    // A name unsubscribed while the response was on its way is of no interest any more.
    if (!subscription.wildcard && !subscription.names.has(name)) continue;
    if (ttl) ttls.set(name, ttlMs(ttl));
    if (!resource && ttl && subscription.held.get(name) === version) continue;
    if (!resource) malformed.push({ name, reason: 'the response holds no body for it' });
    else if (resource.typeUrl !== response.typeUrl) malformed.push({ name, reason: `is a ${shortTypeName(resource.typeUrl)} resource in an ${shortTypeName(response.typeUrl)} response` });
    else added.set(name, { name, version, any: resource });
  }
  // Under a wildcard also of what was refused and is not held: its refusal ends with it.
  const removed = response.removedResources.filter((name) => subscription.wildcard || subscription.names.has(name) || subscription.held.has(name));
  return { nonce: response.nonce, version: response.systemVersionInfo, added: [...added.values()], removed, ttls, malformed };
}

function namesOf(change: NameChange): Pick<DeltaDiscoveryRequest, 'resourceNamesSubscribe' | 'resourceNamesUnsubscribe'> {
  return { resourceNamesSubscribe: [...change.subscribe], resourceNamesUnsubscribe: [...change.unsubscribe] };
}

function request(typeUrl: string): DeltaDiscoveryRequest {
  return {
    typeUrl,
    resourceNamesSubscribe: [],
    resourceNamesUnsubscribe: [],
    resourceLocatorsSubscribe: [],
    resourceLocatorsUnsubscribe: [],
    initialResourceVersions: {},
    responseNonce: '',
  };
}

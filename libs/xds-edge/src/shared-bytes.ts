import { AggregatedDiscoveryServiceService } from '@meltemi/api/gen/envoy/service/discovery/v3/ads.ts';
import { DeltaDiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';

/** By the array of resources, which the protocol shares between clients that are told the same: the whole message but for what is this client's own. */
const bodies = new WeakMap<readonly unknown[], { readonly version: string; readonly typeUrl: string; readonly bytes: Uint8Array }>();

/**
 * A delta response as bytes. What many clients are sent alike is encoded once; nonce and control plane are appended, since a message's fields may come in
 * any order.
 */
export function deltaResponseBytes(response: DeltaDiscoveryResponse): Buffer {
  if (response.resources.length === 0 || response.removedResources.length > 0) return Buffer.from(DeltaDiscoveryResponse.encode(response).finish());
  const known = bodies.get(response.resources);
  const fits = known?.version === response.systemVersionInfo && known.typeUrl === response.typeUrl;
  const bytes = fits ? known.bytes : DeltaDiscoveryResponse.encode({ ...response, nonce: '', controlPlane: undefined }).finish();
  if (!fits) bodies.set(response.resources, { version: response.systemVersionInfo, typeUrl: response.typeUrl, bytes });
  const own = DeltaDiscoveryResponse.encode({ ...nothing, nonce: response.nonce, controlPlane: response.controlPlane }).finish();
  return Buffer.concat([bytes, own], bytes.length + own.length);
}

const nothing: DeltaDiscoveryResponse = { systemVersionInfo: '', resources: [], typeUrl: '', removedResources: [], removedResourceNames: [], nonce: '' };

/** ADS with responses that are encoded once for all. */
export const sharingService = {
  ...AggregatedDiscoveryServiceService,
  deltaAggregatedResources: { ...AggregatedDiscoveryServiceService.deltaAggregatedResources, responseSerialize: deltaResponseBytes },
} as const;

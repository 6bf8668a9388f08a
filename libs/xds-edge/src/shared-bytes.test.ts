import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeltaDiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { deltaResponseBytes } from './shared-bytes.ts';

test('responses of many clients that share their resources are read as what each was sent', () => {
  const resources = [{ name: 'a', aliases: [], version: '1', resource: { typeUrl: 't', value: Buffer.from('abc') } }];
  const response = (nonce: string, version: string): DeltaDiscoveryResponse => ({ systemVersionInfo: version, resources, typeUrl: 'type', removedResources: [], removedResourceNames: [], nonce, controlPlane: { identifier: 'pilot' } });
  for (const each of [response('n1', 'v1'), response('n2', 'v1'), response('n3', 'v2'), { ...response('n4', 'v2'), removedResources: ['gone'] }]) assert.deepEqual(DeltaDiscoveryResponse.decode(deltaResponseBytes(each)), DeltaDiscoveryResponse.decode(DeltaDiscoveryResponse.encode(each).finish()));
});

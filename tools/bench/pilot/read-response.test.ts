import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeltaDiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { readResponse } from './read-response.ts';

test('a response is read without its resources', () => {
  const resource = { name: 'a', aliases: [], version: '1', resource: { typeUrl: 't', value: Buffer.alloc(300) } };
  const bytes = DeltaDiscoveryResponse.encode({ systemVersionInfo: 'v', resources: [resource, resource], typeUrl: 'type', removedResources: ['x'], removedResourceNames: [], nonce: 'n-1', controlPlane: { identifier: 'pilot' } }).finish();
  assert.deepEqual(readResponse(Buffer.from(bytes)), { typeUrl: 'type', nonce: 'n-1', resources: 2 });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DeltaDiscoveryResponse, DiscoveryResponse, type Resource } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { deltaResponseChunks, sotwResponseChunks } from './response-chunks.ts';

const small = { name: 'a', aliases: [], version: '1', resource: { typeUrl: 't', value: Buffer.from('abc') } };
const empty = { name: 'nothing-in-it', aliases: [], version: '2', resource: { typeUrl: 't', value: Buffer.alloc(0) } };
const large = { name: 'large', aliases: [], version: '3', resource: { typeUrl: 't', value: Buffer.alloc(100_000, 7) } };

function delta(resources: Resource[], own: Partial<DeltaDiscoveryResponse> = {}): DeltaDiscoveryResponse {
  return { systemVersionInfo: 'v', resources, typeUrl: 'type', removedResources: [], removedResourceNames: [], nonce: 'n1', controlPlane: { identifier: 'pilot' }, ...own };
}

test('the parts of a response are read as what was to be sent', () => {
  const told: Resource = { name: 'b', aliases: ['c'], version: '4', ttl: { seconds: 3n, nanos: 0 } };
  const lists: Resource[][] = [[], [small], [small, empty, large, told, large, small], [large]];
  for (const [index, resources] of lists.entries()) {
    const response = delta(resources, index % 2 === 0 ? { removedResources: ['gone'] } : {});
    assert.deepEqual(DeltaDiscoveryResponse.decode(Buffer.concat(deltaResponseChunks(response))), DeltaDiscoveryResponse.decode(DeltaDiscoveryResponse.encode(response).finish()));
    const world: DiscoveryResponse = { versionInfo: 'v', resources: resources.flatMap(({ resource }) => resource ?? []), canary: false, typeUrl: 'type', nonce: 'n1', controlPlane: { identifier: 'pilot' } };
    assert.deepEqual(DiscoveryResponse.decode(Buffer.concat(sotwResponseChunks(world))), DiscoveryResponse.decode(DiscoveryResponse.encode(world).finish()));
  }
});

test('clients that are told the same share all bytes but their own nonce', () => {
  const resources = [small, large];
  const [first, second] = [deltaResponseChunks(delta(resources)), deltaResponseChunks(delta(resources, { nonce: 'n2', systemVersionInfo: 'w', removedResources: ['x'] }))];
  assert.notDeepEqual(first[0], second[0]);
  assert.equal(first.length, second.length);
  for (const [index, chunk] of first.entries()) if (index > 0) assert.equal(chunk, second[index]);
});

test('a large resource is sent from where it is, in whatever list and protocol', () => {
  for (const chunks of [deltaResponseChunks(delta([large])), deltaResponseChunks(delta([small, large])), sotwResponseChunks({ versionInfo: 'v', resources: [large.resource], canary: false, typeUrl: 'type', nonce: 'n' })]) assert.ok(chunks.includes(large.resource.value));
});

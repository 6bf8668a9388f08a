import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { DeltaDiscoveryResponse, DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { Resource } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { testResource } from '../resource-set.fake.ts';
import { xdsType } from '../resource-types.ts';
import { deltaXdsClient, sotwXdsClient } from './xds-client.ts';

const { cluster, endpoint, listener } = xdsType;
const node = { id: 'n', cluster: '', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };

function delta(typeUrl: string, nonce: string, versions: Record<string, string>, removedResources: string[] = []): DeltaDiscoveryResponse {
  const resources = Object.entries(versions).map(([name, version]) => ({ name, aliases: [], version, resource: testResource(typeUrl, name, version).any }));
  return { systemVersionInfo: nonce, resources, typeUrl, removedResources, removedResourceNames: [], nonce };
}

function sotw(typeUrl: string, nonce: string, texts: Record<string, string>): DiscoveryResponse {
  return { versionInfo: `v-${nonce}`, resources: Object.entries(texts).map(([name, text]) => testResource(typeUrl, name, text).any), canary: false, typeUrl, nonce };
}

test('only the first request of a stream carries the node', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.subscribe(endpoint, ['a']);
  assert.deepEqual(client.connected().requests.map((request) => request.node?.id), ['n', undefined]);
  assert.deepEqual(client.connected().requests.map((request) => request.node?.id), ['n', undefined]);
});

test('a lone wildcard is an empty list; beside names it is written out', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.subscribe(listener, '*');
  client.subscribe(listener, ['l']);
  client.subscribe(endpoint, '*');
  assert.deepEqual(client.connected().requests.map((request) => request.resourceNamesSubscribe), [[], ['*', 'l'], ['*']]);
});

test('names asked for twice are asked for once, and changes of names are told', () => {
  const client = deltaXdsClient(node);
  client.connected();
  assert.deepEqual(client.subscribe(endpoint, ['a', 'a', 'b']).requests[0]?.resourceNamesSubscribe, ['a', 'b']);
  assert.deepEqual(client.subscribe(endpoint, ['b']).requests, []);
  const [request] = client.unsubscribe(endpoint, ['b', 'unknown']).requests;
  assert.deepEqual(request?.resourceNamesUnsubscribe, ['b']);
});

test('a refusal names resources and reasons; the good ones are held', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.connected();
  const [first] = client.received(delta(cluster, '1', { a: '1', b: '1' })).updates;
  assert.deepEqual(client.settle(first?.ticket ?? 0, { kind: 'accept' }).requests.map((request) => [request.responseNonce, request.errorDetail]), [['1', undefined]]);
  const [second] = client.received(delta(cluster, '2', { a: '2', b: '2' })).updates;
  const [nack] = client.settle(second?.ticket ?? 0, { kind: 'reject', resources: [{ name: 'b', reason: 'no TLS context' }] }).requests;
  assert.deepEqual([nack?.responseNonce, nack?.errorDetail?.code, nack?.errorDetail?.message], ['2', 3, 'b: no TLS context']);
  assert.deepEqual(client.connected().requests[0]?.initialResourceVersions, { a: '2', b: '1' });
});

test('refused as a whole, nothing is held', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.connected();
  const [update] = client.received(delta(cluster, '1', { a: '1' })).updates;
  assert.equal(client.settle(update?.ticket ?? 0, { kind: 'reject-all', reason: 'out of memory' }).requests[0]?.errorDetail?.message, 'out of memory');
  assert.equal(client.held(cluster).size, 0);
});

test('responses of one type come one after the other; types do not wait for each other', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.subscribe(listener, '*');
  client.connected();
  const [first] = client.received(delta(cluster, '1', { a: '1' })).updates;
  assert.deepEqual(client.received(delta(cluster, '2', {}, ['a'])).updates, []);
  assert.equal(client.received(delta(listener, '3', { l: '1' })).updates.length, 1);
  assert.equal(client.backlog(), 1);
  const { requests, updates } = client.settle(first?.ticket ?? 0, { kind: 'accept' });
  assert.deepEqual([requests[0]?.responseNonce, updates[0]?.removed], ['1', ['a']]);
});

test('a verdict counts once', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.connected();
  const [update] = client.received(delta(cluster, '1', { a: '1' })).updates;
  client.settle(update?.ticket ?? 0, { kind: 'accept' });
  assert.deepEqual(client.settle(update?.ticket ?? 0, { kind: 'accept' }), { requests: [], updates: [] });
});

test('a type undecided when the stream broke is asked for after the verdict, with what is then held', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.subscribe(endpoint, ['a']);
  client.connected();
  const [update] = client.received(delta(cluster, '1', { a: '1' })).updates;
  client.received(delta(cluster, '2', { b: '1' }));
  client.disconnected();
  assert.deepEqual(client.connected().requests.map((request) => request.typeUrl), [endpoint]);
  const { requests, updates } = client.settle(update?.ticket ?? 0, { kind: 'accept' });
  assert.deepEqual(requests.map((request) => [request.typeUrl, request.responseNonce, request.initialResourceVersions]), [[cluster, '', { a: '1' }]]);
  assert.deepEqual(updates, []);
});

test('a resource without body, or of another type, is refused whatever the application says', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.connected();
  const wrong = delta(cluster, '1', { good: '1' });
  const [update] = client.received({ ...wrong, resources: [...wrong.resources, { name: 'empty', aliases: [], version: '1' }, { name: 'alien', aliases: [], version: '1', resource: testResource(listener, 'alien', '').any }] }).updates;
  assert.deepEqual(update?.added.map((resource) => resource.name), ['good']);
  assert.match(client.settle(update?.ticket ?? 0, { kind: 'accept' }).requests[0]?.errorDetail?.message ?? '', /^empty: .*; alien: is a LDS resource/);
});

test('state of the world: changed and vanished resources are worked out from content', () => {
  const client = sotwXdsClient(node);
  client.subscribe(cluster, '*');
  client.connected();
  const [first] = client.received(sotw(cluster, '1', { a: '1', b: '1' })).updates;
  const [ack] = client.settle(first?.ticket ?? 0, { kind: 'accept' }).requests;
  assert.deepEqual([ack?.responseNonce, ack?.versionInfo], ['1', 'v-1']);
  const [second] = client.received(sotw(cluster, '2', { b: '2' })).updates;
  assert.deepEqual([second?.added.map((resource) => resource.name), second?.removed], [['b'], ['a']]);
  const [nack] = client.settle(second?.ticket ?? 0, { kind: 'reject-all', reason: 'no' }).requests;
  assert.deepEqual([nack?.responseNonce, nack?.versionInfo, nack?.errorDetail?.message], ['2', 'v-1', 'no']);
});

test('state of the world: names changed while a response is undecided go with its answer', () => {
  const client = sotwXdsClient(node);
  client.subscribe(endpoint, ['a']);
  client.connected();
  const [update] = client.received(sotw(endpoint, '1', { a: '1' })).updates;
  assert.deepEqual(client.subscribe(endpoint, ['b']).requests, []);
  assert.deepEqual(client.settle(update?.ticket ?? 0, { kind: 'accept' }).requests[0]?.resourceNames, ['a', 'b']);
});

test('state of the world: bytes that are no message are refused, never thrown', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 4 }), fc.boolean(), (values, wrapped) => {
      const client = sotwXdsClient(node);
      client.subscribe(cluster, '*');
      client.connected();
      const typeUrl = wrapped ? 'type.googleapis.com/envoy.service.discovery.v3.Resource' : cluster;
      const resources = values.map((value) => ({ typeUrl, value: Buffer.from(value) }));
      const { updates } = client.received({ versionInfo: '1', resources, canary: false, typeUrl: cluster, nonce: '1' });
      client.settle(updates[0]?.ticket ?? 0, { kind: 'accept' });
    }),
  );
});

test('the node goes with every request when it is asked for', () => {
  const client = sotwXdsClient(node, { nodeInEveryRequest: true });
  client.subscribe(cluster, '*');
  client.subscribe(endpoint, ['a']);
  assert.deepEqual(client.connected().requests.map((request) => request.node?.id), ['n', 'n']);
});

test('a removal of what was refused, and so is not held, is handed on under a wildcard', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.connected();
  const [first] = client.received(delta(cluster, '1', { a: '1' })).updates;
  client.settle(first?.ticket ?? 0, { kind: 'reject', resources: [{ name: 'a', reason: 'no' }] });
  assert.deepEqual(client.received(delta(cluster, '2', {}, ['a'])).updates[0]?.removed, ['a']);
});

const ttl = (seconds: number) => ({ seconds: BigInt(seconds), nanos: 500_000_000 });

test('delta: a TTL is told, a heartbeat without a body renews it, and what is over is held no more', () => {
  const client = deltaXdsClient(node);
  client.subscribe(cluster, '*');
  client.connected();
  const { resources: [resource] } = delta(cluster, '1', { a: '1' });
  assert.ok(resource);
  const [first] = client.received({ ...delta(cluster, '1', {}), resources: [{ ...resource, ttl: ttl(2) }] }).updates;
  assert.deepEqual([...(first?.ttls ?? [])], [['a', 2500]]);
  client.settle(first?.ticket ?? 0, { kind: 'accept' });
  const [beat] = client.received({ ...delta(cluster, '2', {}), resources: [{ ...resource, resource: undefined, ttl: ttl(3) }] }).updates;
  assert.deepEqual([beat?.added, beat?.removed, [...(beat?.ttls ?? [])]], [[], [], [['a', 3500]]]);
  assert.deepEqual(client.settle(beat?.ticket ?? 0, { kind: 'accept' }).requests.map((request) => request.errorDetail), [undefined]);
  assert.deepEqual(client.expire(cluster, 'a').updates.map((update) => update.removed), [['a']]);
  assert.deepEqual(client.expire(cluster, 'a').updates, []);
  assert.deepEqual(client.connected().requests[0]?.initialResourceVersions, {});
});

test('state of the world: wrappers carry a TTL, a heartbeat keeps its resource', () => {
  const client = sotwXdsClient(node);
  client.subscribe(cluster, '*');
  client.connected();
  const wrapped = (body: boolean) => ({ ...sotw(cluster, '1', {}), resources: [{
    typeUrl: 'type.googleapis.com/envoy.service.discovery.v3.Resource',
    value: Buffer.from(Resource.encode({ name: 'a', aliases: [], version: '1', resource: body ? testResource(cluster, 'a', 'x').any : undefined, ttl: ttl(1) }).finish()),
  }] });
  const [first] = client.received(wrapped(true)).updates;
  assert.deepEqual([first?.added.map(({ name }) => name), [...(first?.ttls ?? [])]], [['a'], [['a', 1500]]]);
  client.settle(first?.ticket ?? 0, { kind: 'accept' });
  const [beat] = client.received(wrapped(false)).updates;
  assert.deepEqual([beat?.added, beat?.removed, [...(beat?.ttls ?? [])]], [[], [], [['a', 1500]]]);
});

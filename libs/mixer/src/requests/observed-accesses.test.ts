import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import type { AttributeName, Attributes } from '../attributes/vocabulary.ts';
import { accessTemplate, ObservedAccesses, type SeenAccess } from './observed-accesses.ts';

const attributes = (more: Partial<Record<AttributeName, string | number>> = {}): Attributes => new Map(Object.entries({
  'context.reporter.kind': 'inbound', 'destination.workload.name': 'reviews-v1', 'destination.workload.namespace': 'shop', 'destination.port': 9080, 'source.principal': 'spiffe://cluster.local/ns/shop/sa/web', 'source.ip': '10.0.0.1',
  'request.method': 'GET', 'request.host': 'reviews:9080', 'request.url_path': '/reviews/0', 'response.code': 200, ...more,
}) as [AttributeName, string | number][]);

const seen = (more: Partial<SeenAccess> = {}): SeenAccess => ({ workload: 'shop/a', port: 80, protocol: 'http', principal: 'p', sourceIp: '', method: 'GET', host: 'a', path: '/', denied: false, status: 200, ...more });

test('an access is who reached which port with what; the address is kept only of callers that proved no name', () => {
  assert.deepEqual(accessTemplate.instance(attributes()), { workload: 'shop/reviews-v1', port: 9080, protocol: 'http', principal: 'spiffe://cluster.local/ns/shop/sa/web', sourceIp: '', method: 'GET', host: 'reviews:9080', path: '/reviews/0', denied: false, status: 200 });
  const plain = accessTemplate.instance(attributes({ 'source.principal': '', 'response.code': 403, 'response.code_details': 'rbac_access_denied_matched_policy[none]' }));
  assert.deepEqual([plain?.principal, plain?.sourceIp, plain?.denied], ['', '10.0.0.1', true]);
});

test('of a TCP connection its end counts, once; what clients say counts never', () => {
  const tcp = (event: string) => accessTemplate.instance(attributes({ 'connection.event': event }));
  assert.deepEqual([tcp('open'), tcp('continue'), tcp('close')?.protocol, tcp('close')?.path], [undefined, undefined, 'tcp', '']);
  for (const more of [{ 'context.reporter.kind': 'outbound' }, { 'destination.port': 0 }, { 'destination.workload.name': '' }]) assert.equal(accessTemplate.instance(attributes(more)), undefined, JSON.stringify(more));
});

test('a path too long to be kept is not cut off: it would be another path', () => {
  assert.equal(accessTemplate.instance(attributes({ 'request.url_path': `/${'x'.repeat(2000)}` }))?.path, '');
});

test('the same access is counted by how it was answered, and forgotten when nobody asks any more', () => {
  const clock = new ManualClock(0);
  const accesses = new ObservedAccesses({ clock, max: 10, idleMs: 1000 });
  for (const status of [200, 404, 500, 0]) accesses.record(seen({ status }));
  accesses.record(seen({ denied: true, status: 403 }));
  assert.deepEqual(accesses.read('shop').map(({ count, answers, denied }) => [count, answers, denied]), [[4, { ok: 1, clientError: 1, error: 2 }, false], [1, { ok: 0, clientError: 1, error: 0 }, true]]);
  assert.deepEqual(accesses.read('other'), []);
  clock.advance(1001);
  assert.deepEqual(accesses.read(), []);
});

test('whoever tries a thousand paths pushes out nobody but itself', () => {
  const accesses = new ObservedAccesses({ clock: new ManualClock(0), max: 10, idleMs: 1000 });
  accesses.record(seen({ principal: 'honest', path: '/cart' }));
  for (let i = 0; i < 1000; i++) accesses.record(seen({ principal: 'prober', path: `/${i}` }));
  const kept = accesses.read();
  assert.deepEqual([kept.length, kept.filter(({ principal }) => principal === 'honest').length, accesses.forgotten], [10, 1, 991]);
});

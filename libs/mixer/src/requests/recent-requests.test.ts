import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@meltemi/base';
import { RecentRequests, requestTemplate } from './recent-requests.ts';

const attributes = (more: Record<string, string> = {}) => new Map(Object.entries({
  'context.reporter.kind': 'outbound', 'source.workload.name': 'productpage', 'source.workload.namespace': 'shop', 'request.method': 'GET', 'request.host': 'reviews:9080', 'request.path': '/reviews/0?token=secret', ...more,
}));

test('a request is who asked what, without its query', () => {
  assert.deepEqual(requestTemplate.instance(attributes()), { from: 'shop/productpage', method: 'GET', url: 'http://reviews:9080/reviews/0' });
});

test('the server\'s report of it, and what is no HTTP request, are none', () => {
  for (const more of [{ 'context.reporter.kind': 'inbound' }, { 'request.method': '' }, { 'request.host': '' }, { 'source.workload.name': '' }, { 'request.path': '*' }, { 'request.path': `/${'x'.repeat(2000)}` }])
    assert.equal(requestTemplate.instance(attributes(more)), undefined, JSON.stringify(more).slice(0, 80));
});

test('the same request is counted, the newest comes first, and no more are kept than there is room for', () => {
  const clock = new ManualClock(0);
  const recent = new RecentRequests({ clock, max: 2, idleMs: 60_000 });
  const request = (url: string, from = 'shop/a') => recent.record({ from, method: 'GET', url });
  request('http://a/');
  request('http://b/', 'other/b');
  request('http://a/');
  assert.deepEqual(recent.read().map(({ url, count }) => [url, count]), [['http://a/', 2], ['http://b/', 1]]);
  assert.deepEqual(recent.read('other').map(({ url }) => url), ['http://b/']);
  request('http://c/');
  assert.deepEqual(recent.read().map(({ url }) => url), ['http://c/', 'http://a/']);
  clock.advance(60_001);
  assert.deepEqual(recent.read(), []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpAttributes } from '../attributes/from-access-log.ts';
import { parseReporter } from '../attributes/reporter.ts';
import { httpEntry, nodeOf, peerOf } from '../testing/entries.ts';
import type { Attributes } from '../attributes/vocabulary.ts';
import { MetricOwner } from './metric-owner.ts';

/** A request that reviews-v1 reports; `counted` undefined: it does not say. */
function reported(counted: unknown): Attributes {
  const reporter = parseReporter(nodeOf('reviews-v1'));
  assert.ok(reporter.ok);
  const result = httpAttributes(httpEntry({ peer: { ...peerOf('source', 'reviews-v1', 'ratings-v1'), ...(counted === undefined ? {} : { counted }) } }), reporter.value);
  assert.ok(result.ok && result.value);
  return result.value;
}

function owner(owns: boolean) {
  const told: string[] = [];
  const metrics = new MetricOwner({ owns, onDisagreement: (kind, reporter) => told.push(`${kind} ${reporter}`) });
  return { told, counts: (counted: unknown) => metrics.mustCount(reported(counted)) };
}

const node = 'sidecar~127.0.0.2~reviews-v1.default~default.svc.cluster.local';

test('the owner counts what proxies left to it, and never what they counted; it says so once', () => {
  const { told, counts } = owner(true);
  assert.deepEqual([false, undefined, true, true].map(counts), [true, true, false, false]);
  assert.deepEqual(told, [`both ${node}`]);
});

test('who does not own counts nothing, and says once when nobody counts', () => {
  const { told, counts } = owner(false);
  assert.deepEqual([true, undefined, false, false].map(counts), [false, false, false, false]);
  assert.deepEqual(told, [`nobody ${node}`]);
});

test('only a yes or no is believed', () => {
  assert.deepEqual(['true', 1, null].map((counted) => reported(counted).get('context.reporter.counted')), [undefined, undefined, undefined]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ObjectDistribution_State, ProxyLag_State, type ObjectDistribution } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { mergeDistribution } from './merge-distribution.ts';

const { ABSENT, IN_FORCE, SET_ASIDE } = ObjectDistribution_State;

function at(change: Partial<ObjectDistribution>): ObjectDistribution {
  return { key: undefined, state: IN_FORCE, resourceVersion: '7', reasons: [], lastGoodInForce: false, proxies: 2, following: 2, notConcerned: 0, refusing: 0, lagging: 0, laggards: [], followers: ['x'], ...change };
}

test('counts of pilots add up, and who refuses is named first', () => {
  const lag = { proxyId: 'slow', state: ProxyLag_State.LAGGING, detail: 'has not acknowledged RDS' };
  const refuses = { proxyId: 'bad', state: ProxyLag_State.REFUSED, detail: 'no' };
  const merged = mergeDistribution({ pilot: 'a', object: at({ following: 1, lagging: 1, laggards: [lag] }) }, [{ pilot: 'b', object: at({ proxies: 3, refusing: 1, notConcerned: 1, laggards: [refuses], followers: ['y', 'z'] }) }], 2);
  assert.deepEqual([merged.proxies, merged.following, merged.lagging, merged.refusing, merged.notConcerned], [5, 3, 1, 1, 1]);
  assert.deepEqual(merged.laggards, [refuses, lag]);
  assert.deepEqual(merged.followers, ['x', 'y']);
});

test('proxies of a pilot that has another version, or no such object, lag', () => {
  for (const [object, says] of [[at({ resourceVersion: '6' }), /has another version/], [at({ state: ABSENT, resourceVersion: '' }), /does not know the object/]] as const) {
    const merged = mergeDistribution({ pilot: 'a', object: at({}) }, [{ pilot: 'b', object }], 10);
    assert.deepEqual([merged.state, merged.following, merged.lagging], [IN_FORCE, 2, 2]);
    assert.match(merged.laggards[0]?.detail ?? '', says);
  }
});

test('an object that one pilot sets aside is set aside, with the reasons of all told once', () => {
  const reasons = [{ path: 'spec', message: 'is wrong' }];
  const merged = mergeDistribution({ pilot: 'a', object: at({}) }, ['b', 'c'].map((pilot) => ({ pilot, object: at({ state: SET_ASIDE, reasons, lastGoodInForce: true }) })), 10);
  assert.deepEqual([merged.state, merged.reasons, merged.lastGoodInForce], [SET_ASIDE, reasons, true]);
});

test('a removed object is gone when every pilot says so', () => {
  const gone = at({ state: ABSENT, resourceVersion: '' });
  assert.equal(mergeDistribution({ pilot: 'a', object: gone }, [{ pilot: 'b', object: gone }], 10).state, ABSENT);
  assert.equal(mergeDistribution({ pilot: 'a', object: gone }, [{ pilot: 'b', object: at({}) }], 10).state, IN_FORCE);
});

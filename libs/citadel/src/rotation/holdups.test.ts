import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProxyReport, RotationFacts } from './facts.ts';
import { holdups, inFlightMs, settleMs } from './holdups.ts';

const roots = { signing: 'old', other: 'new' };
const proxy: ProxyReport = {
  spiffeId: 'spiffe://td/ns/a/sa/b', name: 'p', run: '1', address: '10.0.0.1:999', trustedRoots: ['old'], certificateRoot: 'old', serial: '01', certificateNotAfter: 5000, connected: true, heardAt: 700, since: -10_000, problem: '',
};
const facts = (changes: Partial<RotationFacts>): RotationFacts => ({ proxies: [], silent: [], citadels: [], listeningSince: -settleMs, ...changes });

test('a proxy that does not trust the new root holds the switch up, and is named', () => {
  assert.deepEqual(holdups('switch', roots, facts({ proxies: [proxy, { ...proxy, trustedRoots: ['old', 'new'] }] }), { now: 1000 }), [
    { kind: 'proxy', spiffeId: 'spiffe://td/ns/a/sa/b', name: 'p', address: '10.0.0.1:999', connected: true, heardAt: 700, until: 0, reason: 'does not trust root new yet' },
  ]);
});

test('a proxy that could not put the root in force says why', () => {
  const [first] = holdups('switch', roots, facts({ proxies: [{ ...proxy, problem: 'worker 1 is stuck' }] }), { now: 1000 });
  assert.equal(first?.reason, 'does not trust root new yet (worker 1 is stuck)');
});

test('a proxy that is ready holds a step up for as long as handshakes of before may be under way', () => {
  const ready = facts({ proxies: [{ ...proxy, trustedRoots: ['old', 'new'], since: 900 }] });
  assert.match(holdups('switch', roots, ready, { now: 1000 })[0]?.reason ?? '', /ready since a moment ago/);
  assert.deepEqual(holdups('switch', roots, ready, { now: 900 + inFlightMs }), []);
});

test('a proxy that is away counts as long as its certificate is good', () => {
  const away = facts({ proxies: [{ ...proxy, connected: false }] });
  assert.equal(holdups('switch', roots, away, { now: 1000 })[0]?.until, 5000);
  assert.deepEqual(holdups('switch', roots, away, { now: 5001 }), []);
});

test('a proxy is left behind when it is named', () => {
  for (const without of [['p'], ['spiffe://td/ns/a/sa/b']]) assert.deepEqual(holdups('switch', roots, facts({ proxies: [proxy] }), { now: 1000, without }), []);
});

test('callers that do not report hold up until the last of their certificates has ended', () => {
  const silent = facts({ silent: [{ certificateRoot: 'old', trustedRoots: ['old'], latestNotAfter: 9000, count: 3 }] });
  assert.equal(holdups('switch', roots, silent, { now: 1000 })[0]?.until, 9000);
  assert.deepEqual(holdups('switch', roots, silent, { now: 9000 }), []);
  assert.deepEqual(holdups('switch', roots, silent, { now: 1000, without: ['silent'] }), []);
});

test('the old root is retired when nobody has a certificate of it, and its key is forgotten when nobody trusts it', () => {
  const switched = { signing: 'new', other: 'old' };
  const both = { ...proxy, trustedRoots: ['new', 'old'] };
  assert.match(holdups('retire', switched, facts({ proxies: [both] }), { now: 1000 })[0]?.reason ?? '', /still has a certificate of root old/);
  const renewed = { ...both, certificateRoot: 'new' };
  assert.deepEqual(holdups('retire', switched, facts({ proxies: [renewed] }), { now: 1000 }), []);
  assert.match(holdups('finish', switched, facts({ proxies: [renewed] }), { now: 1000 })[0]?.reason ?? '', /still trusts root old/);
  assert.deepEqual(holdups('finish', switched, facts({ proxies: [{ ...renewed, trustedRoots: ['new'] }] }), { now: 1000 }), []);
});

test('another citadel that has not seen the last step holds up the next, until it is gone', () => {
  const behind = facts({ citadels: [{ id: 'c2', signingRoot: 'old', trustedRoots: ['old'], heardAt: 1000 }] });
  assert.match(holdups('switch', roots, behind, { now: 2000 })[0]?.reason ?? '', /does not distribute root new yet/);
  assert.deepEqual(holdups('switch', roots, behind, { now: 20_000 }), []);
});

test('a citadel that has just started waits for those who were connected before', () => {
  assert.equal(holdups('switch', roots, facts({ listeningSince: 1000 }), { now: 2000 }).length, 1);
  assert.equal(holdups('switch', roots, facts({ listeningSince: 1000 }), { now: 1000 + settleMs }).length, 0);
  assert.equal(holdups('pause', roots, facts({ listeningSince: 1000 }), { now: 2000 }).length, 0);
});

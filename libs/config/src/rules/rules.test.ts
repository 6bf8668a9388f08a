import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isIpAddress, subnetReason } from './addresses.ts';
import { formatProblem } from './header-format.ts';
import { fqdnReason, hostIsSubset, hostsOverlap, scopedHostReason, wildcardDomainReason } from './hosts.ts';
import { isRe2 } from './regex.ts';

test('host names: short, full, wildcard in the first label; the last label is no number', () => {
  for (const good of ['reviews', 'reviews.default.svc.cluster.local', 'istio.io.', '*', '*.com', '*-a.com', 'UPPER.example']) assert.equal(wildcardDomainReason(good), undefined, good);
  for (const bad of ['', 'a..b', '-a', 'a_b', 'a.*.b', '10.0.0.1', 'a.1', `${'a'.repeat(64)}.b`, 'a b', `${'a.'.repeat(130)}b`]) assert.notEqual(wildcardDomainReason(bad), undefined, bad);
  assert.notEqual(fqdnReason('*.com'), undefined);
});

test('a wildcard covers what ends alike, in either direction', () => {
  assert.ok(hostsOverlap('*.com', 'a.com') && hostsOverlap('a.com', '*.com') && hostsOverlap('*.a.com', '*.com') && hostsOverlap('*', 'a'));
  assert.ok(!hostsOverlap('a.com', 'b.com') && !hostsOverlap('*.org', '*.com'));
  assert.ok(hostIsSubset('a.b.com', '*.b.com') && hostIsSubset('*.b.com', '*.com') && hostIsSubset('a', 'a') && !hostIsSubset('*.com', '*.b.com') && !hostIsSubset('*', 'a'));
});

test('scoped hosts name a namespace, and full names only', () => {
  for (const good of ['./*', '*/*', '~/*', '~prod/*', 'prod/a.b', '*/*.a.b']) assert.equal(scopedHostReason(good, 'sidecar'), undefined, good);
  for (const bad of ['*', 'a', '/a', 'a/', 'prod/short', 'a_b/*', './*a.b']) assert.notEqual(scopedHostReason(bad, 'sidecar'), undefined, bad);
  assert.equal(scopedHostReason('*', 'gateway'), undefined);
  assert.notEqual(scopedHostReason('~/*', 'gateway'), undefined);
});

test('addresses and CIDR blocks of both families', () => {
  for (const good of ['1.2.3.4', '::1', '2001:db8::', '::ffff:1.2.3.4']) assert.ok(isIpAddress(good), good);
  for (const bad of ['1.2.3', '256.1.1.1', '01.2.3.4', ':::', 'fe80::1%eth0', '']) assert.ok(!isIpAddress(bad), bad);
  for (const good of ['10.0.0.0/8', '::/0', '1.2.3.4']) assert.equal(subnetReason(good), undefined, good);
  for (const bad of ['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/8/8', 'a/8', '::/129']) assert.notEqual(subnetReason(bad), undefined, bad);
});

test('header formats: what Envoy can read', () => {
  for (const good of ['', 'plain', '100%%', '%PROTOCOL%', 'a %REQ(x:y)% b', '%UPSTREAM_METADATA(["a", "b)"])%', '%REQ(a\\)b)%']) assert.equal(formatProblem(good), undefined, good);
  for (const bad of ['50%', '%', 'abc%123', '%START_TIME%%', '%REQ(a%', '%REQ(a)', '%REQ(a)x%']) assert.notEqual(formatProblem(bad), undefined, bad);
});

test('regexes are RE2: neither look-around nor back-references', () => {
  assert.ok(isRe2('^/a/[0-9]+(\\.html)?$') && isRe2('(?i)abc') && isRe2('\\pL'));
  assert.ok(!isRe2('(?=a)') && !isRe2('(a)\\1') && !isRe2('(') && !isRe2('*'));
});

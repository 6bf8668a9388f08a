import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BlockedAddresses } from './blocked-addresses.ts';

test('where clouds keep credentials is blocked in every way to write it', () => {
  for (const address of ['169.254.169.254', '169.254.0.1', '::ffff:169.254.169.254', '::ffff:a9fe:a9fe', '64:ff9b::a9fe:a9fe', '2002:a9fe:a9fe::1', 'fe80::1', 'fe80::1%eth0', 'fd00:ec2::254', '100.100.100.200', '168.63.129.16']) assert.equal(BlockedAddresses.byDefault.has(address), true, address);
});

test('so is what means this host without saying so, and what is no address', () => {
  for (const address of ['0.0.0.0', '::', '0.1.2.3', '', 'localhost']) assert.equal(BlockedAddresses.byDefault.has(address), true, address);
});

test('issuers of the mesh itself may be anywhere else', () => {
  for (const address of ['127.0.0.1', '::1', '10.96.0.10', '192.168.1.1', '203.0.113.5', '2001:db8::1', '64:ff9b::cb00:7105', 'fd00::1']) assert.equal(BlockedAddresses.byDefault.has(address), false, address);
});

test('BLOCKED_CIDRS_IN_JWKS_URIS adds ranges, and takes none away', () => {
  const more = BlockedAddresses.and(' 10.0.0.0/8, 127.0.0.0/8,fc00::/7 ');
  assert.ok(more.ok);
  for (const address of ['10.96.0.10', '127.0.0.1', '::ffff:127.0.0.1', '64:ff9b::7f00:1', 'fd00::1', '169.254.169.254']) assert.equal(more.value.has(address), true, address);
  for (const address of ['192.168.1.1', '203.0.113.5']) assert.equal(more.value.has(address), false, address);
});

test('what is no range is named', () => {
  for (const ranges of ['10.0.0.0', '10.0.0.0/33', '10.0.0.0/8,nonsense/8', '10.0.0.0/-1', '10.0.0.0/8/9']) assert.ok(!BlockedAddresses.and(ranges).ok, ranges);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VirtualHostIndex } from './virtual-host-index.ts';

function indexOf(...domains: readonly string[]): VirtualHostIndex<string> {
  const index = new VirtualHostIndex<string>();
  for (const domain of domains) assert.equal(index.add(domain, domain), 'added');
  return index;
}

test('an exact domain comes before the longest suffix, the longest prefix and the rest', () => {
  const index = indexOf('*', 'www.example.com', '*.example.com', '*.com', 'www.*', 'w*');
  const found = ['WWW.example.com', 'a.example.com', 'a.com', 'www.org', 'web', 'else'].map((authority) => index.find(authority));
  assert.deepEqual(found, ['www.example.com', '*.example.com', '*.com', 'www.*', 'w*', '*']);
});

test('answers stay right when they are asked for again, in any order, by more hosts than are remembered', () => {
  const names = Array.from({ length: 2000 }, (_, i) => `service-${i}.default.svc.cluster.local`);
  const index = indexOf(...names);
  for (let round = 0; round < 3; round++) {
    for (const [i, name] of names.entries()) {
      assert.equal(index.find(name), name);
      const other = names[(i * 7919 + round) % names.length] ?? '';
      assert.equal(index.find(other), other);
      assert.equal(index.find(`not-${name}`), null);
    }
  }
});

test('what is added later is found, also where nothing was found before', () => {
  const index = indexOf('a.example');
  assert.equal(index.find('b.example'), null);
  index.add('b.example', 'b.example');
  assert.equal(index.find('b.example'), 'b.example');
});

test('characters beyond latin1 are not taken for others', () => {
  const index = indexOf('\u0061.example');
  assert.equal(index.find('\u0161.example'), null);
  assert.equal(index.find('\u0161.example'), null);
});

test('a very long authority is found as any other', () => {
  const long = `${'x'.repeat(3000)}.example`;
  const index = indexOf('*.example', long);
  for (let i = 0; i < 2; i++) {
    assert.equal(index.find(long), long);
    assert.equal(index.find(`y${long}`), '*.example');
  }
});

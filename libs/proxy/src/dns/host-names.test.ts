import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatIp } from '@meltemi/match';
import { HostNames, type NamedHost } from './host-names.ts';
import { parseResolvConf } from './resolv-conf.ts';

const kubernetes = (shortname: string, namespace: string, ...ips: string[]): NamedHost => ({ ips, registry: 'Kubernetes', shortname, namespace, altHosts: [] });
const external = (...ips: string[]): NamedHost => ({ ips, registry: 'External', shortname: '', namespace: '', altHosts: [] });
const table = {
  'reviews.default.svc.cluster.local': kubernetes('reviews', 'default', '10.96.0.1'),
  'ratings.other.svc.cluster.local': kubernetes('ratings', 'other', '10.96.0.2'),
  'far.default.svc.far.local': kubernetes('far', 'default', '10.96.0.3'),
  'web.Example.com': external('240.240.0.1', '2001:2::1'),
  '*.wild.example.com': external('240.240.0.2'),
  '*.sub.wild.example.com': external('240.240.0.3'),
  'broken.example.com': external('not an address'),
};
const search = ['default.svc.cluster.local', 'svc.cluster.local', 'cluster.local'];
const names = new HostNames(table, { namespace: 'default', domain: 'default.svc.cluster.local', search });

/** "name type → …" of each record; undefined when others must answer. */
function ask(name: string, type = 1, from = names): string[] | undefined {
  return from.lookup(name, type)?.map((record) => `${record.name} ${record.type === 5 ? record.target : formatIp(record.address)}`);
}

for (const name of ['reviews.', 'reviews.default.', 'reviews.default.svc.', 'reviews.default.svc.cluster.local.', 'ratings.other.', 'ratings.other.svc.', 'web.example.com.', 'far.default.svc.far.local.'])
  test(`${name} is known`, () => assert.equal(ask(name)?.length, 1));

for (const name of ['ratings.', 'far.', 'far.default.', 'reviews.default.svc.cluster.', 'example.com.', 'wild.example.com.', 'broken.example.com.', 'unknown.example.com.', '.'])
  test(`${name} is for others to answer`, () => assert.equal(ask(name), undefined));

test('a known name without an address of the family has an empty answer; other types are for others', () => {
  assert.deepEqual(ask('reviews.', 28), []);
  assert.deepEqual(ask('web.example.com.', 28), ['web.example.com. 2001:2::1']);
  assert.equal(ask('web.example.com.', 16), undefined);
});

test('a name with the first search domain behind it is an alias of the real one; with others it is not', () => {
  assert.deepEqual(ask('web.example.com.default.svc.cluster.local.'), ['web.example.com.default.svc.cluster.local. web.example.com.', 'web.example.com. 240.240.0.1']);
  assert.deepEqual(ask('reviews.default.svc.cluster.local.default.svc.cluster.local.'), undefined);
  assert.deepEqual(ask('ratings.other.default.svc.cluster.local.')?.at(-1), 'ratings.other. 10.96.0.2');
  assert.equal(ask('web.example.com.svc.cluster.local.'), undefined);
  assert.deepEqual(ask('web.example.com.default.svc.cluster.local.', 28)?.length, 2);
});

test('wildcards answer for every name below, the nearest first', () => {
  assert.deepEqual(ask('a.b.wild.example.com.'), ['a.b.wild.example.com. 240.240.0.2']);
  assert.deepEqual(ask('a.sub.wild.example.com.'), ['a.sub.wild.example.com. 240.240.0.3']);
  assert.deepEqual(ask('sub.wild.example.com.'), ['sub.wild.example.com. 240.240.0.2']);
  assert.deepEqual(ask('a.wild.example.com.default.svc.cluster.local.'), ['a.wild.example.com.default.svc.cluster.local. *.wild.example.com.', '*.wild.example.com. 240.240.0.2']);
});

test('each answer begins with another address', () => {
  const many = new HostNames({ 'db.example.com': external('10.0.0.1', '10.0.0.2', '10.0.0.3') }, { namespace: 'default', domain: 'svc.cluster.local', search: [] });
  assert.deepEqual([1, 2, 3, 4].map(() => ask('db.example.com.', 1, many)?.[0]), ['db.example.com. 10.0.0.1', 'db.example.com. 10.0.0.2', 'db.example.com. 10.0.0.3', 'db.example.com. 10.0.0.1']);
  assert.equal(ask('db.example.com.', 1, many)?.length, 3);
});

test('a full name is never another’s short form, and short forms of the own namespace come first', () => {
  const clash = { 'a.b': external('192.0.2.1'), 'a.b.svc.cluster.local': kubernetes('a', 'b', '10.0.0.1'), 'db-0.db.default.svc.cluster.local': kubernetes('db-0.db', 'default', '10.0.0.2'), 'db-0.db.svc.cluster.local': kubernetes('db-0', 'db', '10.0.0.3') };
  for (const entries of [Object.entries(clash), Object.entries(clash).toReversed()]) {
    const from = new HostNames(Object.fromEntries(entries), { namespace: 'default', domain: 'svc.cluster.local', search });
    assert.deepEqual([ask('a.b.', 1, from), ask('db-0.db.', 1, from)], [['a.b. 192.0.2.1'], ['db-0.db. 10.0.0.2']]);
  }
});

test('what cannot be written on the wire is no name', () => {
  assert.equal(new HostNames({ [`${'a'.repeat(64)}.com`]: external('192.0.2.1'), 'a..b': external('192.0.2.1') }, { namespace: '', domain: '', search: [] }).size, 0);
});

test('resolv.conf: servers once, the last search list, comments and nonsense left out', () => {
  assert.deepEqual(parseResolvConf('# c\nnameserver 10.0.0.10 # dns\nnameserver fd00::a\nnameserver ns.example.com\nnameserver 10.0.0.10\ndomain a.b\nsearch default.svc.cluster.local  svc.cluster.local\noptions ndots:5\n'), { servers: ['10.0.0.10', 'fd00::a'], search: ['default.svc.cluster.local', 'svc.cluster.local'] });
  assert.deepEqual(parseResolvConf('search a b\ndomain c.d'), { servers: [], search: ['c.d'] });
});

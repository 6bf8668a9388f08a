import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { etcdOptionsOf, type EtcdFlagValues } from './etcd-flags.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-etcd-flags-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const file = (name: string, text: string): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};
const url = { endpoints: ['etcd.test:2379'], root: '/meltemi', tls: false };

test('files and names become options', () => {
  const secure = etcdOptionsOf({ ...url, tls: true }, { 'etcd-cacert': file('ca', 'roots'), 'etcd-cert': file('cert', 'leaf'), 'etcd-key': file('key', 'key'), 'etcd-server-name': 'etcd.test' });
  assert.deepEqual(secure, { ok: true, value: { endpoints: ['etcd.test:2379'], root: '/meltemi', tls: { ca: Buffer.from('roots'), cert: Buffer.from('leaf'), key: Buffer.from('key'), serverName: 'etcd.test' } } });
  const named = etcdOptionsOf(url, { 'etcd-plaintext': true, 'etcd-username': 'citadel', 'etcd-password-file': file('password', 'secret\n') });
  assert.deepEqual(named, { ok: true, value: { endpoints: ['etcd.test:2379'], root: '/meltemi', auth: { username: 'citadel', password: 'secret' } } });
});

test('what is wrong is said with its flag', () => {
  const missing = join(dir, 'nothing');
  const cases: readonly (readonly [tls: boolean, EtcdFlagValues, RegExp])[] = [
    [true, {}, /give --etcd-cacert/],
    [true, { 'etcd-cacert': missing }, /^--etcd-cacert .*nothing: ENOENT/],
    [true, { 'etcd-cacert': file('ca', 'roots'), 'etcd-cert': file('cert', 'leaf') }, /needs its key/],
    [false, { 'etcd-cacert': file('ca', 'roots') }, /write etcds:\/\//],
    [false, { 'etcd-username': 'citadel' }, /go together/],
    [false, { 'etcd-username': 'citadel', 'etcd-password-file': file('empty', '\n') }, /go together/],
    [false, { 'etcd-password-file': file('password', 'secret') }, /go together/],
    [false, {}, /etcd\.test:2379 is another machine.*or --etcd-plaintext/],
  ];
  for (const [tls, values, reason] of cases) {
    const options = etcdOptionsOf({ ...url, tls }, values);
    assert.match(options.ok ? '' : options.error, reason);
  }
});

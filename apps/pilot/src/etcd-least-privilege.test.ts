import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { withDeadline } from '@meltemi/base';
import { startEtcdCluster, type EtcdCluster } from '@meltemi/config-edge/testing';
import { route } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';

const dir = mkdtempSync(join(tmpdir(), 'pilot-etcd-role-'));
let etcd: EtcdCluster;
const file = (name: string) => join(dir, name);
const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

function certificate(name: string, extensions: string): void {
  openssl('req', ...key, '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
  writeFileSync(file(`${name}.ext`), extensions);
  openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`);
}

/** etcdctl with the certificate of this user. */
const connection = (user: string) => [`--endpoints=https://${etcd.endpoints[0]}`, `--cacert=${file('ca.pem')}`, `--cert=${file(`${user}.pem`)}`, `--key=${file(`${user}.key`)}`];
const etcdctl = (user: string, ...args: string[]) => execFileSync('etcdctl', [...connection(user), ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env['PATH'], ETCDCTL_API: '3' } });

before(async () => {
  openssl('req', '-x509', ...key, '-days', '2', '-subj', '/CN=ca', '-keyout', 'ca.key', '-out', 'ca.pem');
  certificate('server', 'subjectAltName=DNS:etcd.test,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth');
  for (const user of ['root', 'meltemi-pilot']) certificate(user, 'extendedKeyUsage=clientAuth');
  etcd = await startEtcdCluster({ tls: { caFile: file('ca.pem'), certFile: file('server.pem'), keyFile: file('server.key') } });
});
after(async () => {
  await etcd.stop();
  rmSync(dir, { recursive: true, force: true });
});

test('pilot needs no more of etcd than the role of the guide, over TLS with its own certificate, and reaches nothing else with it', async () => {
  const guide = readFileSync(join(import.meta.dirname, '../../docs/guides/control-plane-access.md'), 'utf8');
  const commands = [...guide.matchAll(/^ {4}etcdctl ([^\n#]+)/gm)].map((match) => (match[1] ?? '').trim().split(/\s+/));
  assert.ok(commands.length >= 6);
  for (const command of commands) etcdctl('root', ...command);
  etcdctl('root', 'put', '/other/secret', 'not yours');
  const pilot = new PilotProgram(['--plaintext-listen', '127.0.0.1:0', '--store', `etcds://${etcd.endpoints[0]}`, '--etcd-cacert', file('ca.pem'), '--etcd-cert', file('meltemi-pilot.pem'), '--etcd-key', file('meltemi-pilot.key'), '--etcd-server-name', 'etcd.test']);
  try {
    await pilot.start();
    const applied = await pilot.apply(route('v1'));
    assert.equal(applied.code, 0, applied.err);
    assert.match(etcdctl('root', 'get', '--prefix', '/meltemi/config/', '--keys-only'), /VirtualService\/default\/reviews/);
    await pilot.kill();
    await pilot.start();
    assert.equal((await pilot.list('VirtualService')).objects.length, 1);
  } finally {
    await pilot.remove();
  }
  for (const args of [['get', '/other/secret'], ['put', '/other/secret', 'x'], ['role', 'list'], ['user', 'add', 'friend', '--no-password'], ['get', '--prefix', '/']]) assert.throws(() => etcdctl('meltemi-pilot', ...args), /permission denied/, args.join(' '));
});

test('etcd on another machine is not spoken to without TLS unless a flag says so', async () => {
  const pilot = new PilotProgram(['--plaintext-listen', '127.0.0.1:0', '--store', 'etcd://127.0.0.1:2379,192.0.2.7:2379']);
  try {
    const [code] = (await withDeadline(once(pilot.launch(), 'close'), 20_000, 'the refusal')) as [number];
    assert.equal(code, 2);
    assert.match(pilot.log, /--store: etcd:\/\/: 192\.0\.2\.7:2379 is another machine.*write etcds:\/\/ and give --etcd-cacert, or --etcd-plaintext/);
  } finally {
    await pilot.remove();
  }
});

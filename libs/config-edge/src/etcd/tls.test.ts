import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { must, Recorder, route, weight } from '@meltemi/config/testing';
import { startEtcdCluster, type EtcdCluster } from '../testing/etcd-cluster.ts';
import type { EtcdTls } from './etcd-options.ts';
import { openEtcdStore, type EtcdConfigStore } from './etcd-store.ts';

const run = promisify(execFile);

void describe('over TLS with client certificates', () => {
  let directory = '';
  let cluster: EtcdCluster;
  const file = (name: string): string => join(directory, name);
  const opened = async (tls: Partial<Record<keyof EtcdTls, string>>, timeoutMs = 15_000): Promise<EtcdConfigStore> => {
    const pem = async (name: string | undefined): Promise<Buffer | undefined> => (name === undefined ? undefined : readFile(file(name)));
    const [ca, cert, key] = await Promise.all([pem(tls.ca), pem(tls.cert), pem(tls.key)]);
    const { serverName } = tls;
    const result = openEtcdStore({
      endpoints: cluster.endpoints,
      timeoutMs,
      tls: { ca: ca ?? Buffer.alloc(0), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }), ...(serverName === undefined ? {} : { serverName }) },
    });
    if (!result.ok) assert.fail(result.error);
    return result.value;
  };
  const refused = async (tls: Partial<Record<keyof EtcdTls, string>>): Promise<void> => {
    const store = await opened(tls, 1500);
    const answer = await store.list();
    assert.equal(!answer.ok && answer.error.code, 'unavailable');
    await store.close();
  };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'meltemi-etcd-tls-'));
    await certificateAuthority('ca');
    await certificateAuthority('other-ca');
    await certificate('server', 'ca', 'subjectAltName=DNS:etcd.test\nextendedKeyUsage=serverAuth,clientAuth');
    await certificate('client', 'ca', 'extendedKeyUsage=clientAuth');
    await certificate('stranger', 'other-ca', 'extendedKeyUsage=clientAuth');
    cluster = await startEtcdCluster({ tls: { caFile: file('ca.pem'), certFile: file('server.pem'), keyFile: file('server.key') } });
  });
  after(async () => {
    await cluster.stop();
    await rm(directory, { recursive: true, force: true });
  });

  void test('reads, writes and watches, dialled by address under the name in the certificate', async () => {
    const store = await opened({ ca: 'ca.pem', cert: 'client.pem', key: 'client.key', serverName: 'etcd.test' });
    const watch = new Recorder(store, {});
    await watch.until((each) => each.type === 'synced');
    must(await store.commit([{ type: 'put', object: route('n', 'a', 1) }]));
    await watch.until((each) => each.type === 'put' && weight(each.object) === 1);
    await watch.stop();
    await store.close();
  });

  void test('refuses a server under another name', () => refused({ ca: 'ca.pem', cert: 'client.pem', key: 'client.key', serverName: 'somebody.test' }));
  void test('refuses a server of another authority', () => refused({ ca: 'other-ca.pem', cert: 'client.pem', key: 'client.key', serverName: 'etcd.test' }));
  void test('is refused without a certificate', () => refused({ ca: 'ca.pem', serverName: 'etcd.test' }));
  void test('is refused with a certificate of another authority', () => refused({ ca: 'ca.pem', cert: 'stranger.pem', key: 'stranger.key', serverName: 'etcd.test' }));

  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

  async function certificateAuthority(name: string): Promise<void> {
    await run('openssl', ['req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)]);
  }

  async function certificate(name: string, ca: string, extensions: string): Promise<void> {
    await run('openssl', ['req', ...newKey, '-subj', `/CN=${name}`, '-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)]);
    await writeFile(file(`${name}.ext`), extensions);
    const signing = ['-CA', file(`${ca}.pem`), '-CAkey', file(`${ca}.key`), '-CAcreateserial', '-days', '2'];
    await run('openssl', ['x509', '-req', '-in', file(`${name}.csr`), ...signing, '-extfile', file(`${name}.ext`), '-out', file(`${name}.pem`)]);
  }
});

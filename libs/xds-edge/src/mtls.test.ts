import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { ManualClock, waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { startAdsClient } from './ads-client.ts';
import { startAdsServer } from './ads-server.ts';
import { clusterSnapshot } from './resource-set.fake.ts';
import type { Peer } from './server-types.ts';

const node = { id: 'n', cluster: '', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };
const proxyId = 'spiffe://cluster.local/ns/default/sa/reviews';

test('over mutual TLS the server knows the SPIFFE id; without a certificate, or with a stranger’s, there is no stream; none outlives its certificate', async (context) => {
  const directory = mkdtempSync(join(tmpdir(), 'meltemi-xds-'));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const authority = makeAuthority(directory, 'ca');
  const stranger = makeAuthority(directory, 'stranger');
  const serverPair = issue(directory, authority, { name: 'pilot', altNames: 'DNS:pilot.test' });
  const clientPair = issue(directory, authority, { name: 'proxy', altNames: `URI:${proxyId}` });
  const wrongPair = issue(directory, stranger, { name: 'wrong', altNames: `URI:${proxyId}` });
  const root = readFileSync(authority.certificate);

  const peers: Peer[] = [];
  const clock = new ManualClock(Date.now());
  const server = await startAdsServer({
    clock,
    listeners: [
      { name: 'mtls', address: '127.0.0.1:0', credentials: ServerCredentials.createSsl(root, [{ private_key: serverPair.key, cert_chain: serverPair.certificate }], true) },
      { name: 'socket', address: `unix:${join(directory, 'xds.sock')}`, credentials: ServerCredentials.createInsecure() },
    ],
    onConnect(hello, connection) {
      peers.push(hello.peer);
      connection.push({ ...clusterSnapshot('1', { a: 1 }), reason: 'connected' });
      return {};
    },
  });
  context.after(() => server.stop(0));

  const dial = (listener: string, credentials: ChannelCredentials, log: string[]) => {
    const client = startAdsClient({
      address: server.addresses.get(listener) ?? '',
      node,
      serverName: 'pilot.test',
      credentials: () => credentials,
      maxBackoffMs: 100,
      onUpdate: (update) => (log.push(...update.added.map((resource) => resource.name)), update.accept()),
      onDisconnected: (reason) => void log.push(reason),
    });
    client.subscribe(xdsType.cluster, '*');
    context.after(() => client.stop());
    return log;
  };

  const good = dial('mtls', ChannelCredentials.createSsl(root, clientPair.key, clientPair.certificate), []);
  await waitFor('the certified client to be served', () => good.includes('a'));
  assert.deepEqual(peers.map(({ listener, identity }) => [listener, identity]), [['mtls', proxyId]]);

  const bare = dial('mtls', ChannelCredentials.createSsl(root), []);
  const wrong = dial('mtls', ChannelCredentials.createSsl(root, wrongPair.key, wrongPair.certificate), []);
  await waitFor('both to be turned away twice', () => bare.length > 1 && wrong.length > 1);
  assert.equal(peers.length, 1);

  const local = dial('socket', ChannelCredentials.createInsecure(), []);
  await waitFor('the client on the Unix socket to be served', () => local.includes('a'));
  assert.deepEqual([peers[1]?.listener, peers[1]?.identity], ['socket', undefined]);

  clock.advance(25 * 3_600_000);
  await waitFor('the stream of an expired certificate to end', () => good.some((line) => /UNAUTHENTICATED: the client certificate has expired/.test(line)));
  assert.deepEqual(local, ['a']);
});

interface Authority {
  readonly key: string;
  readonly certificate: string;
}

function makeAuthority(directory: string, name: string): Authority {
  const paths = { key: join(directory, `${name}.key`), certificate: join(directory, `${name}.pem`) };
  openssl(['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', `/O=${name}`, '-keyout', paths.key, '-out', paths.certificate]);
  return paths;
}

function issue(directory: string, authority: Authority, subject: { readonly name: string; readonly altNames: string }): { key: Buffer; certificate: Buffer } {
  const path = (ending: string) => join(directory, `${subject.name}.${ending}`);
  openssl(['req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/O=${subject.name}`, '-keyout', path('key'), '-out', path('csr')]);
  writeFileSync(path('ext'), `subjectAltName=${subject.altNames}\n`);
  openssl(['x509', '-req', '-in', path('csr'), '-CA', authority.certificate, '-CAkey', authority.key, '-CAcreateserial', '-days', '1', '-extfile', path('ext'), '-out', path('pem')]);
  return { key: readFileSync(path('key')), certificate: readFileSync(path('pem')) };
}

function openssl(args: readonly string[]): void {
  execFileSync('openssl', [...args], { stdio: 'pipe' });
}

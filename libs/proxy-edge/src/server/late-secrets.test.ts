import assert from 'node:assert/strict';
import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { waitFor, withDeadline } from '@meltemi/base';
import { FlatStats } from '@meltemi/observe';
import type { Source, TlsCertificate } from '@meltemi/snapshot';
import { tlsFixture } from '../transport/tls-fixture.ts';
import { address, ask, httpListener, listenerOf, must, portOf, routeTo, router, staticCluster, workerServer } from './fixture.ts';

const tlsSocket = (name: string, secret: string) => ({
  transportSocket: {
    name: 'tls',
    typedConfig: {
      '@type': `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${name}`,
      commonTlsContext: { tlsCertificateSdsSecretConfigs: [{ name: secret, sdsConfig: { ads: {}, initialFetchTimeout: '0.3s' } }] },
    },
  },
});

const hello = { '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', statPrefix: 'in', httpFilters: [router], routeConfig: { name: 'x', virtualHosts: [{ name: 'x', domains: ['*'], routes: [{ match: { prefix: '/' }, directResponse: { status: 200 } }] }] } };

/** One port, a host name with a certificate each. */
const gateway = listenerOf({
  name: 'main', address: address(0), listenerFilters: [{ name: 'tls', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector' } }],
  filterChains: ['a', 'b'].map((host) => ({ filterChainMatch: { serverNames: [`${host}.example`] }, filters: [{ name: 'hcm', typedConfig: hello }], ...tlsSocket('DownstreamTlsContext', host) })),
});

/** The identity that the server shows for a name, or why there was no handshake. */
async function shown(port: number, servername: string): Promise<string> {
  const socket = tls.connect({ host: '127.0.0.1', port, servername, rejectUnauthorized: false });
  try {
    await withDeadline(once(socket, 'secureConnect'), 5000, 'the handshake');
    return socket.getPeerX509Certificate()?.subjectAltName ?? 'no name';
  } catch (cause) {
    return `refused: ${cause instanceof Error ? cause.message : String(cause)}`;
  } finally {
    socket.destroy();
  }
}

test('a port waits for a secret as long as initial_fetch_timeout says; then it opens, and only the host that misses its secret is refused', async (t) => {
  const ca = tlsFixture();
  const stats = new FlatStats();
  const server = workerServer(t, { stats });
  must(server.setSecret('a', { kind: 'certificate', certificate: ca.issue('spiffe://td/a') }));
  const serving = server.setListener(gateway);
  assert.deepEqual(server.warming(), [{ name: 'main', missing: ['secret b'] }]);
  must(await serving);
  const port = portOf(server);
  assert.equal(await shown(port, 'a.example'), 'URI:spiffe://td/a');
  assert.match(await shown(port, 'b.example'), /^refused: /);
  const notReady = stats.entries({ filter: /downstream_context_secrets_not_ready$/ });
  assert.deepEqual(notReady.map(({ value }) => value), [1]);
  must(server.setSecret('b', { kind: 'certificate', certificate: ca.issue('spiffe://td/b') }));
  assert.equal(await shown(port, 'b.example'), 'URI:spiffe://td/b');
  must(server.setSecret('a', { kind: 'certificate', certificate: ca.issue('spiffe://td/a2') }));
  assert.equal(await shown(port, 'a.example'), 'URI:spiffe://td/a2');
  assert.equal(await shown(port, 'b.example'), 'URI:spiffe://td/b');
});

test('a cluster whose secret is late opens without it: requests fail and say why, until it comes', async (t) => {
  const ca = tlsFixture();
  const up = inline(ca.issue('spiffe://td/up'));
  const app = https.createServer({ ...up, ca: [ca.rootPem], requestCert: true, rejectUnauthorized: true }, (request, response) => response.end((request.socket as tls.TLSSocket).getPeerX509Certificate()?.subjectAltName));
  await once(app.listen(0, '127.0.0.1'), 'listening');
  t.after(() => app.close());
  const server = workerServer(t);
  must(server.setCluster(staticCluster('out', [(app.address() as AddressInfo).port], tlsSocket('UpstreamTlsContext', 'client'))));
  must(await server.setListener(httpListener({ routes: [routeTo('out')] })));
  assert.equal(server.clusters.get('out'), null);
  await waitFor('the cluster to open', () => server.clusters.get('out') !== null, { deadlineMs: 5000 });
  const answer = await ask(portOf(server));
  assert.equal(answer.status, 503);
  assert.match(answer.body, /TLS_error:Secret_is_not_supplied_by_SDS:_client/);
  must(server.setSecret('client', { kind: 'certificate', certificate: ca.issue('spiffe://td/client') }));
  assert.equal((await ask(portOf(server))).body, 'URI:spiffe://td/client');
});

function inline({ privateKey, certificateChain }: TlsCertificate): { key: Buffer; cert: Buffer } {
  const bytes = (source: Source) => (source.kind === 'inline' ? source.bytes : assert.fail('not inline'));
  return { key: bytes(privateKey), cert: bytes(certificateChain) };
}

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { test, type TestContext } from 'node:test';
import type { Resolver } from '../upstream/dns.ts';
import { tlsFixture } from '../transport/tls-fixture.ts';
import { address, application, ask, clusterOf, httpListener, listenerOf, must, portOf, routeTo, workerServer } from './fixture.ts';

const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
const cache = (more: object = {}) => ({ dnsCacheConfig: { name: 'names', dnsLookupFamily: 'V4_ONLY', ...more } });
const httpFilter = { name: 'envoy.filters.http.dynamic_forward_proxy', typedConfig: { '@type': type('filters.http.dynamic_forward_proxy.v3.FilterConfig'), ...cache() } };
const dynamicCluster = (settings: object = {}, more: object = {}) => clusterOf({ name: 'any', lbPolicy: 'CLUSTER_PROVIDED', connectTimeout: '1s', clusterType: { name: 'envoy.clusters.dynamic_forward_proxy', typedConfig: { '@type': type('clusters.dynamic_forward_proxy.v3.ClusterConfig'), ...cache(settings) } }, ...more });

/** Knows the names given; "*.slow" answers never. */
function resolverOf(names: Readonly<Record<string, string>>, asked: string[] = []): Resolver {
  return {
    resolve(name) {
      asked.push(name);
      if (name.endsWith('.slow')) return new Promise(() => {});
      const found = names[name];
      return found === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve([found]);
    },
  };
}

async function proxy(t: TestContext, resolver: Resolver, settings: object = {}) {
  const server = workerServer(t, { resolver });
  must(server.setCluster(dynamicCluster(settings)));
  must(await server.setListener(httpListener({ routes: [routeTo('any')], filters: [httpFilter] })));
  return portOf(server);
}

test('a request goes to the host that it names, looked up once', async (t) => {
  const app = await application(t, (request, response) => response.end(`host ${request.headers.host}`));
  const asked: string[] = [];
  const port = await proxy(t, resolverOf({ 'one.test': '127.0.0.1', 'two.test': '127.0.0.1' }, asked));
  for (const name of ['one.test', 'two.test', 'one.test']) assert.equal((await ask(port, { headers: { host: `${name}:${app}` } })).body, `host ${name}:${app}`);
  assert.deepEqual(asked, ['one.test', 'two.test']);
  assert.equal((await ask(port, { headers: { host: `127.0.0.1:${app}` } })).body, `host 127.0.0.1:${app}`);
});

test('what cannot be looked up is answered with 503, and not asked again at once; so is what is no name', async (t) => {
  const asked: string[] = [];
  const port = await proxy(t, resolverOf({}, asked));
  for (const host of ['gone.test', 'gone.test', '-x.test', 'x.test:99999']) {
    const { status, body } = await ask(port, { headers: { host } });
    assert.deepEqual([status, body], [503, 'DNS resolution failure'], host);
  }
  assert.deepEqual(asked, ['gone.test']);
});

test('no more names are known than max_hosts, no more requests wait than max_pending_requests', async (t) => {
  const full = await proxy(t, resolverOf({}), { maxHosts: 1 });
  await ask(full, { headers: { host: 'one.test' } });
  assert.equal((await ask(full, { headers: { host: 'two.test' } })).body, 'DNS cache overflow');
  const busy = await proxy(t, resolverOf({}), { dnsCacheCircuitBreaker: { maxPendingRequests: 0 } });
  assert.equal((await ask(busy, { headers: { host: 'one.slow' } })).body, 'Dynamic forward proxy pending request overflow');
});

test('a look-up that takes too long ends with 503', async (t) => {
  const port = await proxy(t, resolverOf({}), { dnsQueryTimeout: '0.05s' });
  assert.equal((await ask(port, { headers: { host: 'one.slow' } })).status, 503);
});

test('without the filter nobody looks up the name: 503 no healthy upstream', async (t) => {
  const server = workerServer(t, { resolver: resolverOf({ 'one.test': '127.0.0.1' }) });
  must(server.setCluster(dynamicCluster()));
  must(await server.setListener(httpListener({ routes: [routeTo('any')] })));
  const { status, body } = await ask(portOf(server), { headers: { host: 'one.test' } });
  assert.deepEqual([status, body], [503, 'no healthy upstream']);
});

test('a route may look up and send another host', async (t) => {
  const app = await application(t, (request, response) => response.end(`host ${request.headers.host}`));
  const server = workerServer(t, { resolver: resolverOf({ 'real.test': '127.0.0.1' }) });
  must(server.setCluster(dynamicCluster()));
  const rewritten = { ...routeTo('any'), typedPerFilterConfig: { [httpFilter.name]: { '@type': type('filters.http.dynamic_forward_proxy.v3.PerRouteConfig'), hostRewriteLiteral: `real.test:${app}` } } };
  must(await server.setListener(httpListener({ routes: [rewritten], filters: [httpFilter] })));
  assert.equal((await ask(portOf(server), { headers: { host: 'other.test' } })).body, `host real.test:${app}`);
});

test('a cluster whose certificates nobody checks by name is refused, unless it says that it is meant', () => {
  const http = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
  const options = { typedExtensionProtocolOptions: { [http]: { '@type': `type.googleapis.com/${http}`, explicitHttpConfig: { httpProtocolOptions: {} } } } };
  assert.throws(() => dynamicCluster({}, options), /allow_insecure_cluster_options/);
  assert.throws(() => dynamicCluster({}, { lbPolicy: 'ROUND_ROBIN' }), /CLUSTER_PROVIDED/);
});

test('TLS goes to the server that the client asks for by SNI', async (t) => {
  const { certificateChain, privateKey } = tlsFixture().issue('spiffe://test/ns/a/sa/b');
  const bytesOf = (source: typeof privateKey) => (source?.kind === 'inline' ? Buffer.from(source.bytes) : Buffer.alloc(0));
  const secure = tls.createServer({ cert: bytesOf(certificateChain), key: bytesOf(privateKey) }, (socket) => socket.end(`for ${(socket as tls.TLSSocket & { servername?: string }).servername}`)).listen(0, '127.0.0.1');
  t.after(() => secure.close());
  await once(secure, 'listening');
  const server = workerServer(t, { resolver: resolverOf({ 'one.test': '127.0.0.1' }) });
  must(server.setCluster(dynamicCluster()));
  const sni = { name: 'envoy.filters.network.sni_dynamic_forward_proxy', typedConfig: { '@type': type('filters.network.sni_dynamic_forward_proxy.v3.FilterConfig'), ...cache(), portValue: (secure.address() as AddressInfo).port } };
  const tcp = { name: 'tcp', typedConfig: { '@type': type('filters.network.tcp_proxy.v3.TcpProxy'), statPrefix: 'tcp', cluster: 'any' } };
  const inspector = { name: 'tls', typedConfig: { '@type': type('filters.listener.tls_inspector.v3.TlsInspector') } };
  must(await server.setListener(listenerOf({ name: 'main', address: address(0), listenerFilters: [inspector], filterChains: [{ filters: [sni, tcp] }] })));
  const heard = async (servername: string) => {
    const socket = tls.connect({ port: portOf(server), host: '127.0.0.1', servername, rejectUnauthorized: false });
    t.after(() => socket.destroy());
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString()));
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
    return text;
  };
  assert.equal(await heard('one.test'), 'for one.test');
  assert.equal(await heard('gone.test'), '');
});

import assert from 'node:assert/strict';
import net from 'node:net';
import { test } from 'node:test';
import { fail } from '@meltemi/base';
import { address, listenerOf, must, workerServer } from '../server/fixture.ts';
import { helperMissing, loadSocketOptions } from './socket-options.ts';

const chain = { filters: [{ name: 'tcp', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', statPrefix: 'tcp', cluster: 'c' } }] };
const originalDst = { name: 'envoy.filters.listener.original_dst', typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst' } };

test('a connection that no rule turned has no original destination, nor has a closed one', async () => {
  const options = must(await loadSocketOptions());
  const server = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  assert.equal(options.originalDestination(fd), null);
  assert.equal(options.originalDestination(-1), null);
  server.close();
});

for (const [what, settings] of [['use_original_dst', { useOriginalDst: true }], ['envoy.filters.listener.original_dst', { listenerFilters: [originalDst] }], ['transparent', { transparent: true }]] as const) {
  test(`without the helper a listener with ${what} is refused by name, and told what to do; one without it serves`, async (t) => {
    const server = workerServer(t, { loadSocketOptions: () => Promise.resolve(fail('', helperMissing)) });
    const refused = await server.setListener(listenerOf({ name: 'captured', address: address(0), filterChains: [chain], ...settings }));
    assert.ok(!refused.ok);
    assert.equal(refused.error[0]?.path, `listener captured.${what}`);
    assert.match(refused.error[0]?.message ?? '', /npm install koffi/);
    assert.equal(server.listeners().length, 0);
    must(await server.setListener(listenerOf({ name: 'plain', address: address(0), filterChains: [chain] })));
  });
}

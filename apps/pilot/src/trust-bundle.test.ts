import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { ProxyConfig } from '@meltemi/api/gen/istio/mesh/v1alpha1/proxy.ts';
import { waitFor } from '@meltemi/base';
import { channelCredentials, type IdentityAgent } from '@meltemi/identity-edge';
import { xdsType } from '@meltemi/xds';
import { startAdsClient, type AdsClient } from '@meltemi/xds-edge';
import { CitadelProgram } from './testing/citadel-program.ts';
import { PilotProgram } from './testing/pilot-program.ts';

const citadel = new CitadelProgram();
let pilot: PilotProgram;
let identity: IdentityAgent;
const clients: AdsClient[] = [];

before(async () => {
  await citadel.start();
  pilot = new PilotProgram(await citadel.pilotFlags());
  [identity] = await Promise.all([citadel.identity('default/app'), pilot.start()]);
});
after(async () => {
  await Promise.all(clients.map((client) => client.stop()));
  await pilot.remove();
  await citadel.remove();
});

/** One of Istio's agents as far as roots go: every bundle it was told. */
function agent(protocol: 'delta' | 'sotw'): string[][] {
  const told: string[][] = [];
  const client = startAdsClient({
    address: pilot.address('xds'), protocol, credentials: () => channelCredentials(identity, 'pilot'), initialBackoffMs: 50, maxBackoffMs: 200,
    node: { ...Node.decode(new Uint8Array()), id: `sidecar~127.0.0.1~${protocol}-0.default~default.svc.cluster.local`, metadata: { NAMESPACE: 'default', SERVICE_ACCOUNT: 'app' } },
    onUpdate: (update) => {
      if (update.typeUrl === xdsType.proxyConfig) told.push(...update.added.map(({ any }) => ProxyConfig.decode(any.value).caCertificatesPem));
      update.accept();
    },
  });
  client.subscribe(xdsType.proxyConfig, '*');
  clients.push(client);
  return told;
}

test('who asks for the roots of the mesh is told them once, and again when one more is given out', async () => {
  const roots = () => (identity.current()?.trust.roots ?? []).map(({ pem }) => pem).toSorted();
  const told = [agent('delta'), agent('sotw')];
  for (const bundles of told) {
    await waitFor('the roots', () => bundles.length > 0);
    assert.deepEqual(bundles, [roots()]);
  }
  // Something else changes: nobody is told the same again.
  pilot.write('web.yaml', 'apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: web}\nspec: {hosts: [web.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}\n');
  await waitFor('the change', () => /"reasons":\["ServiceEntry default\/web"\]/.test(pilot.log));
  await citadel.distributeNewRoot();
  for (const bundles of told) {
    await waitFor('two roots', () => bundles.length > 1, { deadlineMs: 15_000 });
    await waitFor('the same two here', () => roots().length === 2, { deadlineMs: 15_000 });
    assert.deepEqual(bundles.slice(1), [roots()]);
  }
});

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { NameTable } from '@meltemi/api/gen/istio/networking/nds/v1/nds.ts';
import { waitFor } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { startAdsClient, type AdsClient } from '@meltemi/xds-edge';
import { PilotProgram } from './testing/pilot-program.ts';

const pilot = new PilotProgram();
before(async () => {
  pilot.write('web.yaml', entry('web', '240.240.0.9'));
  await pilot.start();
});
after(() => pilot.remove());

function entry(name: string, address: string): string {
  return `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ${name}}\nspec: {hosts: [${name}.example.com], addresses: [${address}], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC}\n`;
}

/** An agent as far as names go; `first` is what it asks for before it asks for them. */
function agent(protocol: 'delta' | 'sotw', first: readonly string[]): { client: AdsClient; table: () => Record<string, readonly string[]>; clusters: () => number } {
  let table: Record<string, readonly string[]> = {};
  let clusters = 0;
  const client = startAdsClient({
    address: pilot.address('xds-plaintext'), protocol, credentials: () => credentials.createInsecure(), initialBackoffMs: 50, maxBackoffMs: 200,
    node: { ...Node.decode(new Uint8Array()), id: `sidecar~127.0.0.1~${protocol}-0.default~default.svc.cluster.local`, metadata: { NAMESPACE: 'default', DNS_CAPTURE: 'true' } },
    onUpdate: (update) => {
      for (const { any } of update.added) {
        if (update.typeUrl === xdsType.cluster) clusters++;
        else table = Object.fromEntries(Object.entries(NameTable.decode(any.value).table).map(([host, { ips }]) => [host, ips]));
      }
      update.accept();
    },
  });
  for (const typeUrl of first) client.subscribe(typeUrl, '*');
  return { client, table: () => table, clusters: () => clusters };
}

for (const protocol of ['delta', 'sotw'] as const) {
  test(`${protocol}: who asks for names is told them, also late, and of changes`, async () => {
    const { client, table, clusters } = agent(protocol, [xdsType.cluster]);
    try {
      await waitFor('clusters', () => clusters() > 0);
      assert.deepEqual(table(), {});
      client.subscribe(xdsType.nameTable, '*');
      await waitFor('a table', () => table()['web.example.com']?.[0] === '240.240.0.9');
      pilot.write(`${protocol}.yaml`, entry(protocol, '240.240.0.10'));
      await waitFor('the new name', () => table()[`${protocol}.example.com`]?.[0] === '240.240.0.10');
      const page = await fetch(`http://${pilot.address('admin')}/debug/ndsz?proxyID=${protocol}-0.default`);
      assert.deepEqual(Object.keys(((await page.json()) as { table: object }).table).toSorted(), Object.keys(table()).toSorted());
      assert.equal((await fetch(`http://${pilot.address('admin')}/debug/ndsz?proxyID=nobody`)).status, 404);
    } finally {
      await client.stop();
    }
  });

  test(`${protocol}: who asks for nothing else is told them, too`, async () => {
    const { client, table } = agent(protocol, [xdsType.nameTable]);
    try {
      await waitFor('a table', () => table()['web.example.com'] !== undefined);
    } finally {
      await client.stop();
    }
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startEtcdCluster } from '@meltemi/config-edge/testing';
import { waitFor } from '@meltemi/base';
import { PilotProgram } from './testing/pilot-program.ts';

function entry(name: string, host = `${name}.example.com`, more = ''): string {
  return `apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ${name}}\nspec: {hosts: [${host}], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS${more}}\n`;
}

/** Where the search for a free address begins. */
function place(host: string): number {
  let value = 0x811c_9dc5;
  for (const character of `default/${host}`) value = Math.imul(value ^ character.charCodeAt(0), 0x0100_0193) >>> 0;
  return value % 65_534;
}

/** Another host that would be given the same address. */
function rival(host: string): string {
  for (let i = 0; ; i++) if (place(`r${i}.example.com`) === place(host)) return `r${i}.example.com`;
}

interface Shown {
  readonly status?: { readonly addresses?: readonly { readonly value: string; readonly host: string }[] };
}

async function addressesOf(pilot: PilotProgram, name: string): Promise<string[] | undefined> {
  const { objects } = await pilot.list('ServiceEntry');
  const found = objects.find(({ key }) => key?.name === name);
  return found && ((JSON.parse(found.json) as Shown).status?.addresses ?? []).map(({ value, host }) => `${host} ${value}`);
}

const kept = (pilot: PilotProgram, name: string) => waitFor('it to be kept', () => new RegExp(`"networking.istio.io/ServiceEntry/default/${name}"[^\\n]*last good versions kept`).test(pilot.log));

for (const store of ['a state directory', 'etcd']) {
  test(`${store}: hosts without an address are given one, which stands in their status and outlives restarts, whoever else claims it then`, async (t) => {
    const etcd = store === 'etcd' ? await startEtcdCluster() : undefined;
    const pilot = new PilotProgram(['--plaintext-listen', '127.0.0.1:0', ...(etcd ? ['--store', `etcd://${etcd.endpoints.join(',')}`] : [])]);
    t.after(async () => {
      await pilot.remove();
      await etcd?.stop();
    });
    pilot.write('young.yaml', entry('young'));
    await pilot.start();
    assert.equal((await pilot.apply(entry('stored'))).code, 0);
    const given = await waitFor('addresses', async () => {
      const both = [await addressesOf(pilot, 'young'), await addressesOf(pilot, 'stored')];
      return both.every((each) => each?.length === 2) ? both : undefined;
    });
    assert.match(given[0]?.join() ?? '', /^young\.example\.com 240\.240\.\d+\.\d+,young\.example\.com 2001:2::[0-9a-f]+$/);
    for (const name of ['young', 'stored']) await kept(pilot, name);
    await pilot.kill();
    // without a memory these would be first, and take the addresses
    pilot.write('a-rivals.yaml', `${entry('a-rival', rival('young.example.com'))}---\n${entry('b-rival', rival('stored.example.com'))}`);
    await pilot.start();
    assert.deepEqual([await addressesOf(pilot, 'young'), await addressesOf(pilot, 'stored')], given);
    assert.equal((await addressesOf(pilot, 'a-rival'))?.length, 2);
    assert.equal((await pilot.apply(entry('stored', 'stored.example.com', ', addresses: [192.0.2.1]'))).code, 0);
    await waitFor('it to have its own', async () => (await addressesOf(pilot, 'stored'))?.length === 0);
  });
}

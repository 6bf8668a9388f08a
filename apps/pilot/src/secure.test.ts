import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { credentials, Metadata } from '@grpc/grpc-js';
import { ConfigServiceClient, type ListResponse } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor, withDeadline } from '@meltemi/base';
import { channelCredentials, meshChannelOptions } from '@meltemi/identity-edge';
import { CitadelProgram } from './testing/citadel-program.ts';
import { reviews } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';
import { XdsFollower } from './testing/xds-follower.ts';

const dir = mkdtempSync(join(tmpdir(), 'pilot-secure-'));
const citadel = new CitadelProgram();
let pilot: PilotProgram;

before(async () => {
  await citadel.start();
  pilot = new PilotProgram([...(await citadel.pilotFlags()), '--config-listen', '127.0.0.1:0', '--config-allow', 'spiffe://cluster.local/ns/default/sa/operator']);
  pilot.write('reviews.yaml', reviews);
  await pilot.start();
});
after(async () => {
  await pilot.remove();
  await citadel.remove();
  rmSync(dir, { recursive: true, force: true });
});

const identity = (serviceAccount: string) => citadel.identity(`default/${serviceAccount}`);

test('a proxy with the certificate of its own workload is served over mTLS', async () => {
  const agent = await identity('bookinfo-productpage');
  const proxy = new XdsFollower({ address: pilot.address('xds'), serviceAccount: 'bookinfo-productpage', credentials: () => channelCredentials(agent, 'pilot') });
  try {
    await proxy.route(/reviews/);
  } finally {
    await proxy.stop();
  }
});

test('a proxy with somebody else’s certificate is refused and told why; one without any never gets in', async () => {
  const agent = await identity('ratings');
  const thief = new XdsFollower({ address: pilot.address('xds'), serviceAccount: 'bookinfo-productpage', credentials: () => channelCredentials(agent, 'pilot') });
  const plain = new XdsFollower({ address: pilot.address('xds'), credentials: () => credentials.createInsecure() });
  try {
    await waitFor('the refusal', () => thief.lost.some((reason) => /PERMISSION_DENIED: .*its certificate says spiffe:\/\/cluster\.local\/ns\/default\/sa\/ratings/.test(reason)));
    await waitFor('the lost connection', () => plain.lost.length > 0);
    assert.deepEqual([...thief.responses, ...plain.responses], []);
  } finally {
    await thief.stop();
    await plain.stop();
  }
});

test('the config API over mTLS serves the identities it was told, and nobody else', async () => {
  const list = async (serviceAccount: string) => {
    const client = new ConfigServiceClient(pilot.address('config'), channelCredentials(await identity(serviceAccount), 'pilot'), meshChannelOptions);
    try {
      return await new Promise<ListResponse>((resolve, reject) => {
        client.list({ group: '', kind: 'Service', namespace: '' }, new Metadata(), { deadline: Date.now() + 5000 }, (error, reply) => (error ? reject(error) : resolve(reply)));
      });
    } finally {
      client.close();
    }
  };
  assert.deepEqual((await list('operator')).objects.map((object) => object.key?.name), ['reviews']);
  await assert.rejects(list('passer-by'));
});

test('meltemi works from afar with a certificate of its own, kept for the next time', async () => {
  const id = 'spiffe://cluster.local/ns/default/sa/operator';
  const tokenFile = await citadel.tokenFile(id);
  const context = join(dir, 'remote.json');
  writeFileSync(context, JSON.stringify({ configAddress: pilot.address('config'), citadelAddress: citadel.address, identity: id, stateDir: join(dir, 'operator'), joinTokenFile: tokenFile }));
  const first = await pilot.meltemi(['--context', context, 'get', 'services']);
  assert.match(first.out, /Service +default +reviews +in force/, first.err);
  rmSync(tokenFile);
  const again = await pilot.meltemi(['--context', context, 'get', 'services', '-o', 'json']);
  assert.equal((JSON.parse(again.out) as unknown[]).length, 1, again.err);
});

test('plaintext is refused anywhere but on loopback, and so is a pilot that no proxy could reach', async () => {
  for (const [flags, reason] of [[['--plaintext-listen', '0.0.0.0:0'], /--plaintext-listen 0\.0\.0\.0:0: plaintext is served on loopback only/], [[], /no proxy could connect: give --citadel-address/]] as const) {
    const program = new PilotProgram(flags);
    try {
      const [code] = (await withDeadline(once(program.launch(), 'close'), 20_000, 'the refusal to start')) as [number];
      assert.equal(code, 2);
      assert.match(program.log, reason);
    } finally {
      await program.remove();
    }
  }
});

test('files given by name are followed like directories, MeshConfig too; SIGTERM ends it all with 0', async () => {
  const mesh = join(dir, 'mesh.yaml');
  const single = join(dir, 'single.yaml');
  writeFileSync(mesh, 'outboundTrafficPolicy: {mode: REGISTRY_ONLY}\n');
  writeFileSync(single, reviews);
  const program = new PilotProgram(['--plaintext-listen', '127.0.0.1:0', '--config-dir', single, '--mesh-config', mesh]);
  try {
    await program.start();
    const proxy = new XdsFollower({ address: program.address('xds-plaintext') });
    await proxy.route(/reviews[^]*block_all/);
    writeFileSync(mesh, 'outboundTrafficPolicy: {mode: ALLOW_ANY}\n');
    await proxy.route(/reviews[^]*allow_any/);
    await proxy.stop();
    assert.equal(await program.kill('SIGTERM'), 0);
  } finally {
    await program.remove();
  }
});

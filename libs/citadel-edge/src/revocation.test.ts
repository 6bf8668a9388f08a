import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { credentials, Metadata } from '@grpc/grpc-js';
import { RevocationsClient, RootRotationClient, type RevokeResponse, type RotationStatus } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { waitFor } from '@meltemi/base';
import { parseSpiffeId, type SpiffeId } from '@meltemi/identity';
import { joinTokenText, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';
import { CitadelFixture } from './testing/citadel-fixture.ts';
import { openEcho, startEcho } from './testing/echo-fixture.ts';

const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
const ratings = 'spiffe://cluster.local/ns/default/sa/ratings';

let citadel: CitadelFixture;
const agents: IdentityAgent[] = [];

beforeEach(async () => {
  citadel = await new CitadelFixture().start();
});
afterEach(async () => {
  for (const agent of agents.splice(0)) agent.stop();
  await citadel.remove();
});

async function agent(identity: string): Promise<IdentityAgent> {
  const started = startIdentityAgent({ citadelAddress: citadel.address, identity, joinToken: joinTokenText(await citadel.mint(identity)), log: citadel.log });
  agents.push(started);
  await started.ready();
  return started;
}

async function revoke(request: { readonly serials?: string[]; readonly spiffeId?: string }): Promise<RevokeResponse> {
  const client = new RevocationsClient(`unix:${citadel.socketPath}`, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => client.revoke({ serials: [], spiffeId: '', ...request }, new Metadata(), { deadline: Date.now() + 10_000 }, (error, response) => (error ? reject(new Error(error.details)) : resolve(response))));
  } finally {
    client.close();
  }
}

async function status(): Promise<RotationStatus> {
  const client = new RootRotationClient(`unix:${citadel.socketPath}`, credentials.createInsecure());
  try {
    return await new Promise((resolve, reject) => client.status({}, new Metadata(), { deadline: Date.now() + 10_000 }, (error, response) => (error ? reject(new Error(error.details)) : resolve(response))));
  } finally {
    client.close();
  }
}

function id(text: string): SpiffeId {
  const parsed = parseSpiffeId(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

test('a revoked client and a revoked server are refused within seconds, and neither renews; openssl agrees', async () => {
  const [server, client] = [await agent(ratings), await agent(reviews)];
  const echo = await startEcho(server);
  try {
    const before = openEcho(echo.port, client, [id(ratings)]);
    before.stream.write(Buffer.from('hello'));
    await waitFor('an answer before', () => before.received.length > 0);
    const serial = client.current()?.serial ?? '';
    assert.deepEqual(await revoke({ serials: [serial] }), { serials: [serial], unknown: [], warning: '' });
    const trust = await waitFor('the list at the server', () => (server.current()?.trust.revoked?.serials.has(serial) === true ? server.current()?.trust : undefined), { deadlineMs: 5000 });
    const late = openEcho(echo.port, client, [id(ratings)]);
    assert.match(await waitFor('the refusal', late.problem), /the client certificate is revoked/);
    before.stream.write(Buffer.from('still'));
    await waitFor('an answer on the old connection', () => before.received.length > 1);
    for (const [name, text] of [['root.pem', trust.pem], ['chain.pem', client.current()?.certChainPem ?? ''], ['good.pem', server.current()?.certChainPem ?? ''], ['crl.pem', trust.revoked?.pem ?? '']] as const) writeFileSync(join(citadel.dir, name), text);
    const openssl = (file: string): string => {
      try {
        return execFileSync('openssl', ['verify', '-crl_check', '-CRLfile', 'crl.pem', '-CAfile', 'root.pem', '-untrusted', file, file], { cwd: citadel.dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
      } catch (cause) {
        return String((cause as { readonly stderr?: unknown }).stderr);
      }
    };
    assert.match(openssl('chain.pem'), /certificate revoked/);
    assert.match(openssl('good.pem'), /OK/);

    await revoke({ serials: [server.current()?.serial ?? ''] });
    const newcomer = await agent(reviews);
    const third = openEcho(echo.port, newcomer, [id(ratings)]);
    assert.match(await waitFor('the refusal of the server', third.problem), /certificate [0-9a-f]+ is revoked/);
    const { revoked } = await status();
    assert.deepEqual(revoked.map(({ spiffeId }) => spiffeId).toSorted(), [ratings, reviews]);
    assert.ok(citadel.lines.some((line) => line.message === 'certificates revoked' && 'audit' in line));
    for (const { client: channel } of [before, late, third]) channel.close();
  } finally {
    echo.server.forceShutdown();
  }
});

test("all of an identity's certificates are revoked at once, those from before a restart too, and what cannot be revoked is refused in words", async () => {
  const [one, two, other] = [await agent(reviews), await agent(reviews), await agent(ratings)];
  await citadel.stop();
  await citadel.start();
  const { serials } = await revoke({ spiffeId: reviews });
  assert.deepEqual(new Set(serials), new Set([one.current()?.serial, two.current()?.serial]));
  await waitFor('the list', () => other.current()?.trust.revoked?.serials.size === 2);
  await assert.rejects(revoke({}), /nothing to revoke/);
  await assert.rejects(revoke({ serials: ['xyz'] }), /no serial number/);
  assert.equal(citadel.metric('citadel_server_revoked_certs'), 2);
});

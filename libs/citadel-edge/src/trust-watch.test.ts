import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { RootRotationClient, type RotationStatus } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { waitFor } from '@meltemi/base';
import { joinTokenText, startIdentityAgent, type IdentityAgent, type IdentityAgentOptions } from '@meltemi/identity-edge';
import { trustedRootsOf, type WorkloadCertificate } from '@meltemi/identity';
import { CitadelFixture } from './testing/citadel-fixture.ts';

const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
const ratings = 'spiffe://cluster.local/ns/default/sa/ratings';

let citadel: CitadelFixture;
let agents: IdentityAgent[] = [];

beforeEach(async () => {
  citadel = await new CitadelFixture().start();
});
afterEach(async () => {
  for (const agent of agents) agent.stop();
  agents = [];
  await citadel.remove();
});

async function agent(identity: string, options: Partial<IdentityAgentOptions> = {}): Promise<IdentityAgent> {
  const started = startIdentityAgent({ citadelAddress: citadel.address, identity, joinToken: joinTokenText(await citadel.mint(identity)), name: identity.split('/').at(-1) ?? '', log: citadel.log, ...options });
  agents.push(started);
  await started.ready();
  return started;
}

function ask(work: (client: RootRotationClient, done: (error: ServiceError | null, status: RotationStatus) => void) => unknown): Promise<RotationStatus> {
  const client = new RootRotationClient(`unix:${citadel.socketPath}`, credentials.createInsecure());
  return new Promise<RotationStatus>((resolve, reject) => work(client, (error, status) => (error ? reject(new Error(error.details)) : resolve(status)))).finally(() => client.close());
}

const status = (): Promise<RotationStatus> => ask((client, done) => client.status({}, new Metadata(), { deadline: Date.now() + 10_000 }, done));
const act = (action: string, more: { automatic?: boolean; without?: string[] } = {}): Promise<RotationStatus> =>
  ask((client, done) => client.act({ action, automatic: more.automatic ?? false, without: more.without ?? [] }, new Metadata(), { deadline: Date.now() + 10_000 }, done));

/** Until the next step would cut nobody off: then it is taken. */
async function step(): Promise<RotationStatus> {
  await waitFor('nobody to be cut off', async () => (await status()).holdupsTotal === 0, { deadlineMs: 15_000 });
  return act('step');
}

const rootsOf = (certificate: WorkloadCertificate | undefined): string[] => (certificate ? trustedRootsOf(certificate.trust) : []);

test('a rotation reaches every agent: new roots with the same certificate, then a new certificate, then the old root is gone', async () => {
  const [one, two] = [await agent(reviews), await agent(ratings)];
  const seen: WorkloadCertificate[] = [];
  one.subscribe((certificate) => seen.push(certificate));
  const [old = ''] = rootsOf(one.current());
  assert.equal((await act('start')).phase, 'distributing');
  await waitFor('both roots at both', () => [one, two].every((each) => rootsOf(each.current()).length === 2));
  assert.equal(one.current()?.serial, seen[0]?.serial, 'the certificate is the same');
  assert.equal((await step()).phase, 'switched');
  await waitFor('a certificate of the new root, long before half-life', () => [one, two].every((each) => each.current()?.serial !== seen[0]?.serial));
  assert.equal((await step()).phase, 'retiring');
  await waitFor('the old root to be gone', () => [one, two].every((each) => rootsOf(each.current()).length === 1));
  const done = await step();
  assert.equal(done.phase, '');
  assert.ok(!rootsOf(one.current()).includes(old));
  assert.deepEqual(done.roots.map(({ role, certificates }) => [role, certificates]), [['signing', 2]]);
});

test('roots count as trusted when every part of the program has them in force, not before', async () => {
  const held = await agent(reviews);
  let release: () => void = () => undefined;
  held.subscribe((certificate) => (rootsOf(certificate).length === 2 ? new Promise<void>((resolve) => (release = resolve)) : undefined));
  await act('start');
  await waitFor('the agent to have both roots', () => rootsOf(held.current()).length === 2);
  await waitFor('citadel to have settled', async () => !(await status()).holdups.some(({ kind }) => kind === 'citadel'), { deadlineMs: 15_000 });
  await assert.rejects(act('step'), /not yet: to sign with the new root now would cut off one: reviews spiffe:\/\/cluster\.local\/ns\/default\/sa\/reviews at 127\.0\.0\.1:\d+ does not trust root [0-9a-f]{12} yet/);
  release();
  assert.equal((await step()).phase, 'switched');
});

test('a part that cannot put them in force says why', async () => {
  const broken = await agent(reviews);
  broken.subscribe((certificate) => (rootsOf(certificate).length === 2 ? Promise.reject(new Error('worker 3 is stuck')) : undefined));
  await act('start');
  const said = await waitFor('the reason', async () => (await status()).holdups.find(({ reason }) => reason.includes('worker 3 is stuck')));
  assert.equal(said.name, 'reviews');
});

test('a rotation that goes on by itself survives a citadel that is killed in it, and one taken back stays back', async () => {
  const one = await agent(reviews);
  const [old = ''] = rootsOf(one.current());
  await act('start');
  await waitFor('both roots', () => rootsOf(one.current()).length === 2);
  await step();
  await act('back');
  await waitFor('the old root to sign again', async () => (await status()).roots.find(({ role }) => role === 'signing')?.fingerprint === old);
  await citadel.stop();
  await citadel.start();
  assert.equal((await status()).phase, 'distributing');
  await act('resume');
  await waitFor('the rotation to finish', async () => (await status()).phase === '', { deadlineMs: 30_000 });
  assert.ok(!rootsOf(one.current()).includes(old));
});

test('an agent that ends in good order is waited for no more; one that is killed is, until it is back or named', async () => {
  const [leaves, killed] = [await agent(reviews), await agent(ratings)];
  await waitFor('both to follow', async () => (await status()).followers.reduce((sum, { connected }) => sum + connected, 0) === 2);
  await leaves.leave();
  await waitFor('one to be forgotten', async () => (await status()).followers.reduce((sum, { connected, away }) => sum + connected + away, 0) === 1);
  await citadel.stop();
  killed.stop();
  await citadel.start();
  await act('start');
  await waitFor('citadel to have settled', async () => !(await status()).holdups.some(({ kind }) => kind === 'citadel'), { deadlineMs: 15_000 });
  await assert.rejects(act('step'), /ratings .*does not trust root .* yet, and is not connected/);
  assert.equal((await act('step', { without: ['ratings'] })).phase, 'switched');
});

test('an agent that ends before it ever followed is waited for no more', async () => {
  const brief = await agent(reviews);
  await brief.leave();
  await waitFor('it to be forgotten', async () => (await status()).followers.length === 0);
});

test('who has no certificate of the mesh cannot follow, and a stream that says nothing is ended', async () => {
  const { TrustBundleClient } = await import('@meltemi/api/gen/meltemi/citadel/v1/citadel.ts');
  const { channelCredentials } = await import('@meltemi/identity-edge');
  const open = (mtls: boolean, from: IdentityAgent): InstanceType<typeof TrustBundleClient> => new TrustBundleClient(citadel.address, mtls ? channelCredentials(from, 'citadel') : credentials.createSsl(Buffer.from(from.current()?.trust.pem ?? ''), null, null, { checkServerIdentity: () => undefined }), { 'grpc.ssl_target_name_override': 'localhost' });
  const one = await agent(reviews);
  const outcome = async (client: InstanceType<typeof TrustBundleClient>, write?: object): Promise<string> => {
    const stream = client.watch();
    if (write) stream.write({ name: 'x', run: randomBytes(4).toString('hex'), trustedRoots: [], problem: '', leaving: false, ...write });
    stream.on('data', () => undefined);
    const error = await new Promise<Error>((resolve) => stream.once('error', resolve));
    client.close();
    return error.message;
  };
  assert.match(await outcome(open(false, one)), /UNAUTHENTICATED.*connect over mTLS/);
  assert.match(await outcome(open(true, one), {}), /INVALID_ARGUMENT.*trusted_roots/);
  assert.match(await outcome(open(true, one), { name: 'n'.repeat(300), trustedRoots: ['a'.repeat(64)] }), /INVALID_ARGUMENT.*too long/);
});

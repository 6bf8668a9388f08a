import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { connect } from 'node:tls';
import { credentials, Metadata, Server, status, type ServiceError } from '@grpc/grpc-js';
import { HealthClient, HealthCheckResponse_ServingStatus as Serving, type HealthCheckResponse } from '@meltemi/api/gen/grpc/health/v1/health.ts';
import { IstioCertificateServiceService, type IstioCertificateResponse, IstioCertificateServiceClient } from '@meltemi/api/gen/istio/security/v1alpha1/ca.ts';
import { JoinTokensClient } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { waitFor } from '@meltemi/base';
import { buildCsr, formatJoinToken, generateP256, keyAlgorithms, parseJoinToken, parseSpiffeId, type SpiffeId, type WorkloadCertificate } from '@meltemi/identity';
import { joinTokenFile, joinTokenText, serverCredentials, startIdentityAgent, type IdentityAgent, type IdentityAgentOptions } from '@meltemi/identity-edge';
import { CitadelFixture } from './testing/citadel-fixture.ts';
import { openEcho, startEcho } from './testing/echo-fixture.ts';

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

function agent(options: Partial<IdentityAgentOptions> & { identity: string }): IdentityAgent {
  const started = startIdentityAgent({ citadelAddress: citadel.address, log: citadel.log, ...options });
  agents.push(started);
  return started;
}

/** How an agent with this token fails. */
async function failure(token: string, identity = reviews): Promise<string> {
  const started = agent({ identity, joinToken: joinTokenText(token) });
  const text = await waitFor('a failed attempt', () => started.lastFailure());
  assert.equal(started.current(), undefined);
  started.stop();
  return text;
}

async function renewed(of: IdentityAgent, after: WorkloadCertificate): Promise<WorkloadCertificate> {
  return waitFor('a renewal', () => (of.current()?.serial === after.serial ? undefined : of.current()), { deadlineMs: 15_000 });
}

test('a token gives a certificate that openssl verifies, then the certificate renews itself', async () => {
  const reviewer = agent({ identity: reviews, joinToken: joinTokenText(await citadel.mint(reviews)), validityMs: 3000 });
  const first = await reviewer.ready();
  writeFileSync(join(citadel.dir, 'root.pem'), first.trust.pem);
  writeFileSync(join(citadel.dir, 'chain.pem'), first.certChainPem);
  assert.match(execFileSync('openssl', ['verify', '-x509_strict', '-CAfile', 'root.pem', '-untrusted', 'chain.pem', 'chain.pem'], { cwd: citadel.dir, encoding: 'utf8' }), /OK/);
  assert.ok(first.notAfter - Date.now() <= 3000);
  const second = await renewed(reviewer, first);
  assert.notEqual(second.privateKeyPem, first.privateKeyPem);
  await renewed(reviewer, second);
  const audit = citadel.lines.filter((line) => line.message === 'certificate issued');
  assert.deepEqual(audit.slice(0, 3).map((line) => 'provedBy' in line && line.provedBy), ['join token', 'certificate', 'certificate']);
  assert.ok(audit.every((line) => 'serial' in line && 'notAfter' in line && 'peer' in line && 'spiffeId' in line));
});

for (const keyAlgorithm of keyAlgorithms) {
  test(`a workload with a ${keyAlgorithm} key gets its certificate`, async () => {
    const reviewer = agent({ identity: reviews, joinToken: joinTokenText(await citadel.mint(reviews)), keyAlgorithm });
    const { asymmetricKeyType, asymmetricKeyDetails } = createPrivateKey((await reviewer.ready()).privateKeyPem);
    const made = asymmetricKeyType === 'rsa' ? `rsa-${asymmetricKeyDetails?.modulusLength}` : `ecdsa-p${asymmetricKeyDetails?.namedCurve === 'secp384r1' ? 384 : 256}`;
    assert.equal(made, keyAlgorithm);
  });
}

test('a token is refused the second time, for another identity, and when it has expired', async () => {
  const token = await citadel.mint(reviews);
  await agent({ identity: reviews, joinToken: joinTokenText(token) }).ready();
  assert.match(await failure(token), /used already/);
  assert.match(await failure(await citadel.mint(reviews), ratings), /token is for .*reviews, not for .*ratings/);
  const late = await citadel.mint(reviews);
  citadel.skewMs = 11 * 60_000;
  assert.match(await failure(late), /expired at/);
  assert.ok(citadel.metric('citadel_server_authentication_failure_count') >= 2);
  assert.equal(citadel.metric('citadel_server_success_cert_issuance_count'), 1);
  assert.ok(citadel.metric('citadel_server_root_cert_expiry_timestamp') > Date.now() / 1000 + 300 * 86_400);
});

test('a token is never sent to a server that does not have the root it names', async () => {
  const token = parseJoinToken(await citadel.mint(reviews));
  assert.ok(token.ok);
  const elsewhere = formatJoinToken({ ...token.value, rootFingerprint: 'ab'.repeat(32) });
  assert.match(await failure(elsewhere), /does not lead to the root that the join token names/);
  assert.equal(citadel.metric('citadel_server_csr_count'), 0);
});

test('a workload of the mesh cannot pose as citadel', async () => {
  const impostor = agent({ identity: ratings, joinToken: joinTokenText(await citadel.mint(ratings)) });
  await impostor.ready();
  const server = new Server();
  let asked = 0;
  server.addService(IstioCertificateServiceService, { createCertificate: () => void (asked += 1) });
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', serverCredentials(impostor, { clientCertificate: 'request', sendRoot: true }), (error, bound) => (error ? reject(error) : resolve(bound))));
  try {
    const victim = agent({ identity: reviews, citadelAddress: `127.0.0.1:${port}`, joinToken: joinTokenText(await citadel.mint(reviews)) });
    assert.match(await waitFor('a failed attempt', () => victim.lastFailure()), /belongs to .*ratings, not to .*meltemi-citadel/);
    assert.equal(asked, 0);
  } finally {
    server.forceShutdown();
  }
});

test("Istio's own kind of client is served: any TLS client with the root, a CSR without names, a bearer token", async () => {
  const token = await citadel.mint(reviews);
  const probe = agent({ identity: ratings, joinToken: joinTokenText(await citadel.mint(ratings)) });
  const { trust } = await probe.ready();
  const client = new IstioCertificateServiceClient(citadel.address, credentials.createSsl(Buffer.from(trust.pem)), { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' });
  const create = (csr: string, authorization?: string): Promise<IstioCertificateResponse> =>
    new Promise((resolve, reject) => {
      const metadata = new Metadata();
      if (authorization !== undefined) metadata.set('authorization', authorization);
      client.createCertificate({ csr, validityDuration: 3600n, metadata: undefined }, metadata, (error, response) => (error ? reject(error) : resolve(response)));
    });
  const minter = new JoinTokensClient(citadel.address, credentials.createSsl(Buffer.from(trust.pem)), { 'grpc.ssl_target_name_override': 'istiod.istio-system.svc' });
  try {
    const minted = new Promise((resolve, reject) => minter.create({ spiffeId: reviews, ttlSeconds: 0n }, (error, response) => (error ? reject(error) : resolve(response))));
    await assert.rejects(minted, (error: ServiceError) => error.code === status.UNIMPLEMENTED);
    const csr = buildCsr(generateP256().privateKey, {});
    await assert.rejects(create(csr), (error: ServiceError) => error.code === status.UNAUTHENTICATED && /no proof of identity/.test(error.details));
    await assert.rejects(create('x', `Bearer ${token}`), (error: ServiceError) => error.code === status.INVALID_ARGUMENT);
    await assert.rejects(create(buildCsr(generateP256().privateKey, { uris: [ratings] }), `Bearer ${token}`), (error: ServiceError) => error.code === status.PERMISSION_DENIED);
    await assert.rejects(create('x'.repeat(70_000), `Bearer ${token}`), (error: ServiceError) => error.code === status.RESOURCE_EXHAUSTED);
    assert.equal((await create(csr, `Bearer ${token}`)).certChain.length, 3);
    const everything = JSON.stringify(citadel.lines);
    assert.ok(!everything.includes(token) && !everything.includes('PRIVATE KEY'));
  } finally {
    client.close();
    minter.close();
  }
});

test('a restarted citadel has the same authority and remembers which tokens were used', async () => {
  const used = await citadel.mint(reviews);
  const unused = await citadel.mint(ratings);
  const survivor = agent({ identity: reviews, joinToken: joinTokenText(used), validityMs: 4000 });
  const first = await survivor.ready();
  await citadel.stop();
  await waitFor('the agent to miss citadel', () => survivor.lastFailure());
  assert.equal(survivor.current(), first);
  await citadel.start();
  const second = await renewed(survivor, first);
  assert.equal(second.trust.pem, first.trust.pem);
  assert.match(await failure(used), /used already/);
  await agent({ identity: ratings, joinToken: joinTokenText(unused) }).ready();
});

test('a restarted workload renews with what it kept, its token long spent', async () => {
  const stateDir = join(citadel.dir, 'workload');
  const tokenFile = join(citadel.dir, 'token');
  writeFileSync(tokenFile, `${await citadel.mint(reviews)}\n`);
  const options = { identity: reviews, joinToken: joinTokenFile(tokenFile), stateDir, validityMs: 4000 };
  const before = agent(options);
  const first = await before.ready();
  before.stop();
  assert.equal((statSync(join(stateDir, 'identity.json')).mode & 0o777).toString(8), '600');
  const after = agent(options);
  assert.equal((await after.ready()).serial, first.serial);
  await renewed(after, first);
  after.stop();
  writeFileSync(join(stateDir, 'identity.json'), readFileSync(join(stateDir, 'identity.json')).subarray(0, 100));
  const third = agent(options);
  assert.match(await waitFor('a failed attempt', () => third.lastFailure()), /used already/);
  writeFileSync(tokenFile, await citadel.mint(reviews));
  await third.ready();
});

test('a workload follows to a new authority when it is given a token for it, without a restart', async () => {
  const tokenFile = join(citadel.dir, 'token');
  writeFileSync(tokenFile, await citadel.mint(reviews));
  const follower = agent({ identity: reviews, joinToken: joinTokenFile(tokenFile), validityMs: 3000 });
  const first = await follower.ready();
  await citadel.stop();
  rmSync(join(citadel.dir, 'state'), { recursive: true });
  await citadel.start();
  await waitFor('the new authority to be noticed', () => follower.lastFailure());
  writeFileSync(tokenFile, await citadel.mint(reviews));
  assert.notEqual((await renewed(follower, first)).trust.pem, first.trust.pem);
});

test('a workload that starts before citadel joins soon after it', async () => {
  const token = await citadel.mint(reviews);
  await citadel.stop();
  const early = agent({ identity: reviews, joinToken: joinTokenText(token) });
  await assert.rejects(early.ready(1500), /within 1500 ms: citadel at .*ECONNREFUSED/);
  await citadel.start();
  await early.ready(5000);
});

test('nothing touches the disk unless asked', async () => {
  await agent({ identity: reviews, joinToken: joinTokenText(await citadel.mint(reviews)) }).ready();
  assert.equal(existsSync(join(citadel.dir, 'workload')), false);
});

test("citadel's own certificate rotates without ending open connections", async () => {
  await citadel.stop();
  await citadel.start({ ownLifetimeMs: 2000 });
  const { trust } = await agent({ identity: reviews, joinToken: joinTokenText(await citadel.mint(reviews)) }).ready();
  const client = new HealthClient(citadel.address, credentials.createSsl(Buffer.from(trust.pem)), { 'grpc.ssl_target_name_override': 'citadel.istio-system.svc' });
  const stream = client.watch({ service: 'istio.v1.auth.IstioCertificateService' });
  const seen: HealthCheckResponse['status'][] = [];
  let ended: string | undefined;
  stream.on('data', (response: HealthCheckResponse) => seen.push(response.status));
  stream.on('error', (error: Error) => (ended = error.message));
  await waitFor('the first health answer', () => seen.length > 0);
  const serials = new Set<string>();
  await waitFor('three server certificates', async () => serials.add(await presentedSerial(citadel.address)).size >= 3, { deadlineMs: 15_000, everyMs: 200 });
  assert.deepEqual([ended, seen], [undefined, [Serving.SERVING]]);
  stream.on('end', () => (ended = 'drained'));
  await citadel.stop();
  await waitFor('the drain to be announced', () => ended);
  assert.deepEqual(seen, [Serving.SERVING, Serving.NOT_SERVING]);
  client.close();
});

test('a stream between two workloads stays open while both renew through several half-lives', async () => {
  const validityMs = 2000;
  const serverAgent = agent({ identity: ratings, joinToken: joinTokenText(await citadel.mint(ratings)), validityMs });
  const clientAgent = agent({ identity: reviews, joinToken: joinTokenText(await citadel.mint(reviews)), validityMs });
  await Promise.all([serverAgent.ready(), clientAgent.ready()]);
  const echo = await startEcho(serverAgent);
  const { client, stream, received, problem } = openEcho(echo.port, clientAgent, [id(ratings)]);
  const serials = new Set<string>();
  clientAgent.subscribe(({ serial }) => serials.add(serial));
  serverAgent.subscribe(({ serial }) => serials.add(serial));
  try {
    await waitFor('four renewals of each under steady traffic', () => {
      assert.equal(problem(), undefined);
      stream.write(Buffer.from(`${received.length}`));
      return serials.size >= 10;
    }, { deadlineMs: 60_000, everyMs: 50 });
    await waitFor('echoes', () => received.length > 20);
    assert.ok(received.every((line) => line.startsWith(`${reviews} `)));
    assert.equal(problem(), undefined);
    assert.equal(echo.peers().size, 1);
  } finally {
    client.close();
    echo.server.forceShutdown();
  }
});

test('a channel refuses a server with another identity, and a server callers it does not allow', async () => {
  const serverAgent = agent({ identity: ratings, joinToken: joinTokenText(await citadel.mint(ratings)) });
  const clientAgent = agent({ identity: reviews, joinToken: joinTokenText(await citadel.mint(reviews)) });
  await Promise.all([serverAgent.ready(), clientAgent.ready()]);
  const echo = await startEcho(serverAgent, { allow: () => false });
  try {
    for (const [expected, reason] of [['pilot', /belongs to .*ratings, not to .*meltemi-pilot/], [[id(ratings)], /PERMISSION_DENIED.*reviews may not call/]] as const) {
      const { client, problem } = openEcho(echo.port, clientAgent, expected);
      assert.match(await waitFor('the refusal', problem), reason);
      client.close();
    }
  } finally {
    echo.server.forceShutdown();
  }
});

function id(text: string): SpiffeId {
  const parsed = parseSpiffeId(text);
  assert.ok(parsed.ok);
  return parsed.value;
}

async function presentedSerial(address: string): Promise<string> {
  const [host = '', port = ''] = address.split(':');
  const socket = connect({ host, port: Number(port), rejectUnauthorized: false, ALPNProtocols: ['h2'] });
  try {
    await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return socket.getPeerCertificate().serialNumber;
  } finally {
    socket.destroy();
  }
}

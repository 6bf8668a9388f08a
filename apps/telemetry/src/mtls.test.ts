import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { credentials, status, type ServiceError } from '@grpc/grpc-js';
import { formatFieldErrors, mathRandom, systemClock } from '@meltemi/base';
import { JoinTokensClient } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { KeptAuthority, openCertificateService } from '@meltemi/citadel';
import { DiskKeystore, startCitadelServer, type CitadelServer } from '@meltemi/citadel-edge';
import { channelCredentials, joinTokenText, meshChannelOptions, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';
import type { GraphView } from '@meltemi/mixer';
import { httpEntry, nodeOf, peerOf } from '@meltemi/mixer/testing';
import { StatsRegistry } from '@meltemi/observe';
import { report, TelemetryProcesses } from './testing/telemetry-process.ts';

const processes = new TelemetryProcesses();
const socketPath = join(processes.folder, 'citadel.sock');
const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };
let citadel: CitadelServer;
let reviews: IdentityAgent;

before(async () => {
  const trustDomain = 'cluster.local';
  const keystore = new DiskKeystore(join(processes.folder, 'citadel'));
  const entropy = { bytes: randomBytes };
  const opened = await openCertificateService({ trustDomain, authority: new KeptAuthority({ trustDomain, keystore, entropy }), keystore, clock: systemClock, entropy });
  assert.ok(opened.ok, opened.ok ? '' : formatFieldErrors(opened.error));
  citadel = await startCitadelServer({ service: opened.value, listen: '127.0.0.1:0', socketPath, log: silent, stats: new StatsRegistry(), clock: systemClock, random: mathRandom });
  const identity = 'spiffe://cluster.local/ns/default/sa/reviews';
  reviews = startIdentityAgent({ citadelAddress: `127.0.0.1:${citadel.port}`, identity, joinToken: joinTokenText(await mint(identity)), log: silent });
});
after(async () => {
  reviews.stop();
  await citadel.stop(200);
  processes.remove();
});

function mint(spiffeId: string): Promise<string> {
  const client = new JoinTokensClient(`unix:${socketPath}`, credentials.createInsecure());
  return new Promise((resolve, reject) => client.create({ spiffeId, ttlSeconds: 60n }, (error, response) => (client.close(), error ? reject(error) : resolve(response.token))));
}

test('with an identity from citadel it takes reports over mTLS, catches a lying proxy, and comes back after SIGKILL without a token', async () => {
  const tokenFile = join(processes.folder, 'token');
  writeFileSync(tokenFile, await mint('spiffe://cluster.local/ns/istio-system/sa/meltemi-telemetry'));
  const args = ['--citadel-address', `127.0.0.1:${citadel.port}`, '--join-token-file', tokenFile, '--state-dir', join(processes.folder, 'state')];
  const security = { credentials: channelCredentials(reviews, 'telemetry'), options: meshChannelOptions };
  const entries = [httpEntry({ peer: peerOf('source', 'reviews-v1', 'ratings-v1') })];

  const first = processes.start(args);
  await first.ready();
  const address = `127.0.0.1:${(await first.ports())['als']}`;
  await report(address, { node: nodeOf('reviews-v1', { serviceAccount: 'reviews' }), entries }, security);
  const graph = (await (await first.get('/graph')).json()) as GraphView;
  assert.deepEqual(graph.nodes.map(({ name, principal }) => [name, principal]), [['ratings-v1', 'spiffe://cluster.local/ns/default/sa/ratings-v1'], ['reviews-v1', 'spiffe://cluster.local/ns/default/sa/reviews']]);
  await assert.rejects(report(address, { node: nodeOf('ratings-v1', { serviceAccount: 'ratings' }), entries }, security), (error: ServiceError) => error.code === status.PERMISSION_DENIED);
  await assert.rejects(report(address, { node: nodeOf('reviews-v1'), entries }));

  first.child.kill('SIGKILL');
  await first.exit;
  const second = processes.start(args);
  await second.ready();
  await report(`127.0.0.1:${(await second.ports())['als']}`, { node: nodeOf('reviews-v1', { serviceAccount: 'reviews' }), entries }, security);
});

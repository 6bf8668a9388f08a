import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { Client, credentials, Server, status, type ChannelCredentials, type ServerUnaryCall, type sendUnaryData, type ServiceError } from '@grpc/grpc-js';
import { formatSpiffeId, type SpiffeId } from '@meltemi/identity';
import { callerIdentity } from './caller.ts';
import { channelCredentials } from './channel-credentials.ts';
import { FixedIdentity, idOf, MeshFixture } from './testing/identity-fixture.ts';
import { meshChannelOptions } from './issuance.ts';
import { serverCredentials } from './server-credentials.ts';

const pilot = 'spiffe://cluster.local/ns/istio-system/sa/meltemi-pilot';
const reviews = 'spiffe://cluster.local/ns/default/sa/reviews';
const blocked = 'spiffe://cluster.local/ns/default/sa/blocked';
const same = (bytes: Buffer): Buffer => bytes;
const whoAmI = { path: '/test.Who/AmI', requestStream: false, responseStream: false, requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same } as const;

const mesh = new MeshFixture();
const served = new FixedIdentity(mesh.issue(pilot));
const server = new Server();
let port = 0;

before(async () => {
  server.addService({ whoAmI }, {
    whoAmI: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      const caller = callerIdentity(call);
      done(null, Buffer.from(caller.ok ? formatSpiffeId(caller.value) : 'nobody'));
    },
  });
  const allow = (caller: SpiffeId): boolean => caller.serviceAccount !== 'blocked';
  port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', serverCredentials(served, { allow }), (error, bound) => (error ? reject(error) : resolve(bound))));
});
after(() => server.forceShutdown());

async function call(by: ChannelCredentials): Promise<string> {
  const client = new Client(`127.0.0.1:${port}`, by, { ...meshChannelOptions, 'grpc.use_local_subchannel_pool': 1 });
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(whoAmI.path, same, same, Buffer.alloc(0), { deadline: Date.now() + 5000 }, (error: ServiceError | null, answer?: Buffer) => (error ? reject(error) : resolve(String(answer))));
    });
  } finally {
    client.close();
  }
}

const as = (spiffeId: string, from = mesh): FixedIdentity => new FixedIdentity(from.issue(spiffeId));
const refusedWith = (code: status, text: RegExp) => (error: ServiceError): boolean => error.code === code && text.test(error.details);

test('both sides know each other by SPIFFE id, by address and without any host name', async () => {
  assert.equal(await call(channelCredentials(as(reviews), 'pilot')), reviews);
  assert.equal(await call(channelCredentials(as(reviews), [idOf(pilot)])), reviews);
  assert.equal(await call(channelCredentials(as(reviews), (id) => id.namespace === 'istio-system')), reviews);
});

test('a server with another identity is refused before anything is sent', async () => {
  await assert.rejects(call(channelCredentials(as(reviews), 'telemetry')), refusedWith(status.UNAVAILABLE, /belongs to .*meltemi-pilot, not to .*meltemi-telemetry/));
});

test('a server and a client of another root are refused, though all names are right', async () => {
  const foreign = new MeshFixture();
  await assert.rejects(call(channelCredentials(as(reviews, foreign), 'pilot')), refusedWith(status.UNAVAILABLE, /self-signed|unable to (get|verify)/));
  const believes = new FixedIdentity({ ...foreign.issue(reviews), trust: mesh.trust });
  await assert.rejects(call(channelCredentials(believes, 'pilot')), (error: ServiceError) => error.code === status.UNAVAILABLE);
});

test('callers without a certificate, in plaintext, or not allowed get no further', async () => {
  await assert.rejects(call(credentials.createInsecure()), (error: ServiceError) => error.code === status.UNAVAILABLE);
  await assert.rejects(call(credentials.createSsl(Buffer.from(mesh.trust.pem), null, null, { checkServerIdentity: () => undefined })), (error: ServiceError) => error.code === status.UNAVAILABLE || error.code === status.CANCELLED);
  await assert.rejects(call(channelCredentials(as(blocked), 'pilot')), refusedWith(status.PERMISSION_DENIED, /blocked may not call/));
  const noId = new FixedIdentity({ ...mesh.issue(reviews, { names: { uris: [] } }), spiffeId: reviews });
  await assert.rejects(call(channelCredentials(noId, 'pilot')), refusedWith(status.UNAUTHENTICATED, /0 URI names/));
});

test('a certificate that ends while its connection lives no longer counts', () => {
  const { certChainPem } = mesh.issue(reviews);
  const { raw, validToDate } = new X509Certificate(certChainPem);
  const open = { getAuthContext: () => ({ sslPeerCertificate: { raw } }) };
  assert.equal(callerIdentity(open).ok, true);
  const late = callerIdentity(open, validToDate.getTime() + 1000);
  assert.match(late.ok ? '' : (late.error[0]?.message ?? ''), /expired at .* while the connection stayed open/);
  assert.equal(callerIdentity({ getAuthContext: () => ({}) }).ok, false);
});

test('a new root is believed from the next connection on', async () => {
  const next = new MeshFixture();
  const old = served.current();
  served.replace(next.issue(pilot));
  try {
    assert.equal(await call(channelCredentials(as(reviews, next), 'pilot')), reviews);
    await assert.rejects(call(channelCredentials(as(reviews), 'pilot')), (error: ServiceError) => error.code === status.UNAVAILABLE);
  } finally {
    served.replace(old);
  }
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Server, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { peerCertificate } from './peer-certificate.ts';
import { defaultConnectionLimits, limitConnections } from './limits/connection-limits.ts';
import { callEcho, echoClient, echoMethod } from './testing/limited-server.ts';
import { FixedIdentity, MeshFixture } from './testing/identity-fixture.ts';
import { serverCredentials } from './server-credentials.ts';

test("a connection's certificate is read once for all its calls; each connection has its own", async (t) => {
  const mesh = new MeshFixture();
  const server = new Server();
  const seen: ReturnType<typeof peerCertificate>[] = [];
  server.addService({ echo: echoMethod }, {
    echo: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
      seen.push(peerCertificate(call));
      done(null, call.request);
    },
  });
  const own = new FixedIdentity(mesh.issue('spiffe://cluster.local/ns/istio-system/sa/meltemi-pilot'));
  const port = await new Promise<number>((resolve, reject) => server.bindAsync('127.0.0.1:0', serverCredentials(own), (error, bound) => (error ? reject(error) : resolve(bound))));
  t.after(() => server.forceShutdown());
  limitConnections(server, defaultConnectionLimits);
  const clientOf = (account: string) => echoClient(port, mesh.issue(`spiffe://cluster.local/ns/default/sa/${account}`));
  const [one, other] = [clientOf('one'), clientOf('other')];
  t.after(() => [one, other].forEach((client) => client.close()));
  for (const client of [one, one, other, one]) assert.equal((await callEcho(client)).code, 0);
  const uris = seen.map((each) => (each?.ok ? each.value.uris.join() : 'none'));
  assert.deepEqual(uris, ['one', 'one', 'other', 'one'].map((account) => `spiffe://cluster.local/ns/default/sa/${account}`));
  assert.equal(seen[0], seen[1]);
  assert.equal(seen[0], seen[3]);
  assert.notEqual(seen[0], seen[2]);
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ConfigServiceService } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { runMeltemi } from '../../testing/run-meltemi.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-diff-'));
const pilot = new Server();
let answer: { readonly status: number; readonly body: object } = { status: 200, body: { requests: [] } };
const telemetry = createServer((request, response) => response.writeHead(request.url === '/requests' ? answer.status : 404).end(JSON.stringify(answer.body)));

const objects = [
  { apiVersion: 'v1', kind: 'Service', metadata: { name: 'reviews', namespace: 'default' }, spec: { selector: { app: 'reviews' }, ports: [{ name: 'http', port: 9080 }] } },
  ...['productpage', 'reviews'].map((app, at) => ({
    apiVersion: 'v1', kind: 'Pod', metadata: { name: `${app}-0`, namespace: 'default', labels: { app } },
    spec: { containers: [{ name: 'app', image: 'app', ports: [{ containerPort: 9080 }] }] }, status: { phase: 'Running', podIP: `10.0.0.${at + 1}`, conditions: [{ type: 'Ready', status: 'True' }] },
  })),
];

before(async () => {
  const never = () => undefined;
  pilot.addService(ConfigServiceService, {
    list: (_call: unknown, done: (error: null, value: object) => void) => done(null, {
      objects: objects.map((object) => ({ key: { group: '', kind: object.kind, namespace: 'default', name: object.metadata.name }, json: JSON.stringify(object), resourceVersion: '1', origin: 'store', quarantine: undefined, lastGoodInForce: false })), problems: [],
    }),
    apply: never, delete: never, get: never, watch: never, wait: never,
  });
  await new Promise<void>((resolve, reject) => pilot.bindAsync(`unix:${join(dir, 'c.sock')}`, ServerCredentials.createInsecure(), (cause) => (cause ? reject(cause) : resolve())));
  await new Promise<void>((resolve) => telemetry.listen(0, '127.0.0.1', resolve));
  const { port } = telemetry.address() as AddressInfo;
  writeFileSync(join(dir, 'context.json'), JSON.stringify({ configSocket: join(dir, 'c.sock'), telemetry: `http://127.0.0.1:${port}`, proxies: [] }));
  writeFileSync(join(dir, 'new.yaml'), 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews}\nspec: {hosts: [reviews], http: [{match: [{uri: {prefix: /old}}], fault: {abort: {percentage: {value: 100}, httpStatus: 503}}, route: [{destination: {host: reviews}}]}, {route: [{destination: {host: reviews}}]}]}\n');
});
after(() => {
  pilot.forceShutdown();
  telemetry.close();
  rmSync(dir, { recursive: true, force: true });
});

const diff = (...args: string[]) => runMeltemi(dir, ['--context', 'context.json', 'diff', '-f', 'new.yaml', ...args]);

test('requests the mesh saw lately are followed, and those that would fail are told', async () => {
  answer = { status: 200, body: { requests: ['/old/1', '/new'].map((path) => ({ from: 'default/productpage', method: 'GET', url: `http://reviews:9080${path}`, count: 3, lastSeen: '2026-01-01T00:00:00.000Z' })) } };
  const told = await diff();
  assert.equal(told.code, 0, told.err);
  assert.match(told.out, /1 of 2 requests given or seen lately would be treated otherwise\.\ndefault\/productpage GET http:\/\/reviews:9080\/old\/1 fails\n/);
  assert.doesNotMatch(told.out, /9080\/new/);
  const without = await diff('--no-recent');
  assert.doesNotMatch(without.out, /requests? given or seen/);
});

test('where telemetry cannot be asked, that is said and the rest is told', async () => {
  answer = { status: 500, body: {} };
  const told = await diff();
  assert.equal(told.code, 0, told.err);
  assert.match(told.err, /Requests seen lately are left out: telemetry at http:\/\/127\.0\.0\.1:\d+ cannot be asked: it answers 500/);
  assert.match(told.out, /\+ .*reviews/);
});

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test, type TestContext } from 'node:test';
import { ChannelCredentials, ServerCredentials } from '@grpc/grpc-js';
import { AggregatedDiscoveryServiceClient } from '@meltemi/api/gen/envoy/service/discovery/v3/ads.ts';
import { DeltaDiscoveryRequest } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { waitFor } from '@meltemi/base';
import { xdsType, type XdsSnapshot } from '@meltemi/xds';
import { startAdsClient } from './ads-client.ts';
import { startAdsServer } from './ads-server.ts';
import type { AdsClient, AdsClientOptions, AdsUpdate, HealthSource } from './client-types.ts';
import { clusterSnapshot } from './resource-set.fake.ts';
import type { AdsConnection, AdsServer, AdsServerOptions, ClientHandler } from './server-types.ts';

const cds = xdsType.cluster;
const node = { id: 'sidecar~1', cluster: 'test', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };
const plain = { name: 'plain', address: '127.0.0.1:0', credentials: ServerCredentials.createInsecure() };

/** A server that brings every client to `current`, and writes down what clients said. */
class Pilot {
  current: XdsSnapshot;
  readonly said: string[] = [];
  server: AdsServer | undefined;

  constructor(current: XdsSnapshot) {
    this.current = current;
  }

  async start(context: TestContext, options: Partial<AdsServerOptions> = {}): Promise<string> {
    const server = await startAdsServer({ listeners: [plain], onConnect: (hello, connection) => this.#welcome(hello.node.id, connection), ...options });
    this.server = server;
    context.after(() => server.stop(0));
    return server.addresses.get('plain') ?? '';
  }

  push(snapshot: XdsSnapshot): void {
    this.current = snapshot;
    for (const connection of this.server?.connections() ?? []) connection.push({ ...snapshot, reason: 'test' });
  }

  #welcome(id: string, connection: AdsConnection): ClientHandler {
    connection.push({ ...this.current, reason: 'connected' });
    return {
      onAck: () => void this.said.push(`${id} ack`),
      onNack: (_type, refusal) => void this.said.push(`${id} nack ${refusal.message}`),
      onHealth: (unhealthy) => void this.said.push(`${id} is ${unhealthy ?? 'healthy'}`),
      onFollow: (revision) => void this.said.push(`${id} follows ${revision}`),
      onClose: () => void this.said.push(`${id} closed`),
    };
  }
}

/** A client that holds all clusters, and writes down the names of every update. */
class Proxy {
  readonly held = new Map<string, string>();
  readonly log: string[] = [];
  readonly client: AdsClient;
  decide: (update: AdsUpdate) => void = (update) => update.accept();

  constructor(context: TestContext, address: string, options: Partial<AdsClientOptions> = {}) {
    this.client = startAdsClient({
      address,
      node,
      credentials: () => ChannelCredentials.createInsecure(),
      initialBackoffMs: 20,
      maxBackoffMs: 200,
      onUpdate: (update) => this.#take(update),
      onConnected: () => void this.log.push('connected'),
      onDisconnected: (reason) => void this.log.push(`lost: ${reason}`),
      ...options,
    });
    this.client.subscribe(cds, '*');
    context.after(() => this.client.stop());
  }

  #take(update: AdsUpdate): void {
    this.log.push([...update.added.map((r) => `+${r.name}`), ...update.removed.map((name) => `-${name}`)].join(' '));
    for (const { name, version } of update.added) this.held.set(name, version);
    for (const name of update.removed) this.held.delete(name);
    this.decide(update);
  }

  async until(line: string): Promise<void> {
    await waitFor(`the client to log "${line}", it has ${JSON.stringify(this.log)}`, () => this.log.includes(line));
  }
}

for (const protocol of ['delta', 'sotw'] as const) {
  test(`${protocol}: only what changed reaches the client, and the server learns what is followed`, async (context) => {
    const pilot = new Pilot(clusterSnapshot('1', { a: 1, b: 1 }));
    // Removals wait for a client's listeners and routes at first; this client has none to ask for.
    const proxy = new Proxy(context, await pilot.start(context, { stepDeadlineMs: 100 }), { protocol });
    await proxy.until('+a +b');
    pilot.push(clusterSnapshot('2', { a: 1, b: 2, c: 1 }));
    await proxy.until('+b +c');
    pilot.push(clusterSnapshot('3', { a: 1 }));
    await proxy.until('-b -c');
    await waitFor('revision 3 to be followed', () => pilot.said.includes('sidecar~1 follows 3'));
    const [connection] = pilot.server?.connections() ?? [];
    assert.equal(connection?.followedRevision(), '3');
    assert.deepEqual(connection?.status().map(({ typeUrl, state }) => [typeUrl, state]), [[cds, 'SYNCED']]);
  });
}

test('a refusal names the resource, and the revision counts as followed only once it is put right', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', { a: 1 }));
  const proxy = new Proxy(context, await pilot.start(context));
  await proxy.until('+a');
  proxy.decide = (update) => update.reject([{ name: 'b', reason: 'no such policy' }]);
  pilot.push(clusterSnapshot('2', { a: 2, b: 1 }));
  await waitFor('the refusal', () => pilot.said.includes('sidecar~1 nack b: no such policy'));
  const [status] = pilot.server?.connections()[0]?.status() ?? [];
  assert.deepEqual([status?.state, status?.lastNack?.resources], ['STALE', ['b']]);
  proxy.decide = (update) => update.accept();
  pilot.push(clusterSnapshot('3', { a: 2, b: 2 }));
  await waitFor('revision 3 to be followed', () => pilot.said.includes('sidecar~1 follows 3'));
  assert.equal(pilot.said.includes('sidecar~1 follows 2'), false);
});

test('an update may be decided later; the next one of its type waits for that', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', { a: 1 }));
  const proxy = new Proxy(context, await pilot.start(context, { stepDeadlineMs: 50 }));
  const undecided: AdsUpdate[] = [];
  proxy.decide = (update) => void undecided.push(update);
  await proxy.until('+a');
  pilot.push(clusterSnapshot('2', { a: 2 }));
  await waitFor('the server to go on without the client', () => pilot.server?.connections()[0]?.status()[0]?.lagging);
  assert.equal(undecided.length, 1);
  undecided[0]?.accept();
  await waitFor('the second update', () => undecided.length === 2);
  undecided[1]?.accept();
  await waitFor('revision 2 to be followed', () => pilot.said.includes('sidecar~1 follows 2'));
});

test('a failing update callback is reported to the server instead of being left open', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', { a: 1 }));
  const proxy = new Proxy(context, await pilot.start(context));
  proxy.decide = () => {
    throw new Error('worker gone');
  };
  await waitFor('the refusal', () => pilot.said.some((line) => line.includes('nack') && line.includes('worker gone')));
});

for (const door of ['TCP port', 'Unix socket'] as const) {
  test(`a server killed and started again on its ${door} is found, and sends only what changed meanwhile`, async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'meltemi-xds-'));
    context.after(() => rmSync(directory, { recursive: true, force: true }));
    const first = await spawnServer(context, door === 'TCP port' ? '127.0.0.1:0' : `unix:${directory}/xds.sock`, { a: 1, b: 1 });
    const proxy = new Proxy(context, first.address);
    await proxy.until('+a +b');
    first.process.kill('SIGKILL');
    await waitFor('the loss', () => proxy.log.some((line) => line.startsWith('lost: ')));
    assert.deepEqual([...proxy.held.keys()], ['a', 'b']);
    await spawnServer(context, first.address, { a: 1, b: 2, c: 1 });
    await proxy.until('+b +c');
    assert.equal(proxy.log.filter((line) => line.includes('+a')).length, 1);
  });
}

test('a client that reconnects with everything is sent nothing', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', { a: 1 }));
  const proxy = new Proxy(context, await pilot.start(context));
  await waitFor('revision 1 to be followed', () => pilot.said.includes('sidecar~1 follows 1'));
  proxy.client.reconnect('the certificate was renewed');
  await waitFor('revision 1 to be followed again', () => pilot.said.filter((line) => line === 'sidecar~1 follows 1').length === 2);
  await waitFor('the client to know', () => proxy.log.length > 3);
  assert.deepEqual(proxy.log, ['connected', '+a', 'lost: the certificate was renewed', 'connected']);
});

test('a refused client hears why and keeps trying', async (context) => {
  let refused = 0;
  const pilot = new Pilot(clusterSnapshot('1', {}));
  const address = await pilot.start(context, { onConnect: () => ({ refuse: { code: 7, message: `no. ${++refused}: unknown identity` } }) });
  const proxy = new Proxy(context, address);
  await waitFor('a second refusal', () => proxy.log.some((line) => /PERMISSION_DENIED: no\. 2: unknown identity/.test(line)));
});

test('a handler that throws ends its own stream only', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', { a: 1 }));
  let broken = true;
  const address = await pilot.start(context, {
    onConnect(_hello, connection) {
      connection.push({ ...pilot.current, reason: 'connected' });
      return {
        onAck() {
          if (broken) throw new Error('handler bug');
        },
      };
    },
  });
  const proxy = new Proxy(context, address);
  await waitFor('the end of the stream', () => proxy.log.some((line) => line.includes('INTERNAL: internal error: handler bug')));
  broken = false;
  await waitFor('a stream that lasts', () => pilot.server?.connections()[0]?.followedRevision() === '1');
});

test('streams over a limit are ended with RESOURCE_EXHAUSTED', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', { a: 1 }));
  const address = await pilot.start(context, { limits: { maxNames: 2, maxStreams: 1 } });
  const first = new Proxy(context, address);
  await first.until('+a');
  const second = new Proxy(context, address);
  await waitFor('the stream limit', () => second.log.some((line) => line.includes('RESOURCE_EXHAUSTED: this server serves 1 streams')));
  first.client.subscribe(xdsType.endpoint, ['x', 'y', 'z']);
  await waitFor('the name limit', () => first.log.some((line) => line.includes('RESOURCE_EXHAUSTED: asks for more than 2 names')));
});

test('a response over the limit ends the stream, and nothing of it stays behind', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', { 'a-cluster-with-a-name-that-does-not-fit': 1 }));
  const proxy = new Proxy(context, await pilot.start(context, { limits: { maxResponseBytes: 20 } }), { initialBackoffMs: 10_000, maxBackoffMs: 10_000 });
  await waitFor('the limit', () => proxy.log.some((line) => line.includes('RESOURCE_EXHAUSTED')));
  await waitFor('the stream to be forgotten', () => pilot.server?.connections().length === 0);
});

test('an address that is taken is named, and no other listener stays open', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', {}));
  const address = await pilot.start(context);
  await assert.rejects(startAdsServer({ listeners: [plain, { ...plain, name: 'second', address }], onConnect: () => ({}) }), new RegExp(`cannot listen on ${address} \\(second\\)`));
});

test('a stream without a first request, or without a node in it, is ended', async (context) => {
  const pilot = new Pilot(clusterSnapshot('1', {}));
  const address = await pilot.start(context, { firstRequestDeadlineMs: 50 });
  const raw = new AggregatedDiscoveryServiceClient(address, ChannelCredentials.createInsecure());
  context.after(() => raw.close());
  for (const [request, code] of [[undefined, 4], [DeltaDiscoveryRequest.decode(new Uint8Array()), 3]] as const) {
    const call = raw.deltaAggregatedResources().on('data', () => {});
    if (request) call.write(request);
    const [error] = await once(call, 'error').catch((cause: unknown) => [cause]);
    assert.equal((error as { code?: number }).code, code);
  }
});

test('a client that stops reading is given one push at a time, and the newest when it reads again', async (context) => {
  const pilot = new Pilot(clusterSnapshot('0', {}));
  const address = await pilot.start(context, { stepDeadlineMs: 1 });
  const raw = new AggregatedDiscoveryServiceClient(address, ChannelCredentials.createInsecure());
  context.after(() => raw.close());
  const call = raw.deltaAggregatedResources();
  context.after(() => call.cancel());
  call.on('error', () => {});
  // grpc-js holds the server back only from the second message on.
  call.once('data', () => call.pause());
  call.write({ ...DeltaDiscoveryRequest.decode(new Uint8Array()), node, typeUrl: cds });
  const connection = await waitFor('the client', () => pilot.server?.connections().find((one) => one.subscriptions().size > 0));
  const names = Array.from({ length: 2000 }, (_, index) => `outbound|80||service-${index}.default.svc.cluster.local`);
  const versions = 200;
  for (let version = 1; version <= versions; version++) {
    connection.push({ ...clusterSnapshot(String(version), Object.fromEntries(names.map((name) => [name, version]))), reason: 'test' });
    await new Promise((resolve) => setImmediate(resolve));
  }
  const received: string[] = [];
  let last = 0;
  call.on('data', (response: { systemVersionInfo: string; resources: unknown[]; nonce: string }) => {
    received.push(response.systemVersionInfo);
    call.write({ ...DeltaDiscoveryRequest.decode(new Uint8Array()), typeUrl: cds, responseNonce: response.nonce });
    last = response.resources.length;
  });
  call.resume();
  await waitFor('the newest snapshot', () => connection.followedRevision() === String(versions), { deadlineMs: 20_000 });
  assert.equal(last, names.length);
  assert.ok(received.length < versions / 2, `${received.length} of ${versions} snapshots were written to a client that did not read`);
});

test('a client that never reads is let go after the deadline', async (context) => {
  const pilot = new Pilot(clusterSnapshot('0', {}));
  const address = await pilot.start(context, { stepDeadlineMs: 1, stalledDeadlineMs: 50 });
  const raw = new AggregatedDiscoveryServiceClient(address, ChannelCredentials.createInsecure());
  context.after(() => raw.close());
  const call = raw.deltaAggregatedResources();
  call.on('error', () => {});
  // grpc-js holds the server back only from the second message on.
  call.once('data', () => call.pause());
  call.write({ ...DeltaDiscoveryRequest.decode(new Uint8Array()), node, typeUrl: cds });
  const connection = await waitFor('the client', () => pilot.server?.connections().find((one) => one.subscriptions().size > 0));
  const names = Array.from({ length: 2000 }, (_, index) => `outbound|80||service-${index}.default.svc.cluster.local`);
  let version = 0;
  await waitFor('the stream to be given up', () => {
    connection.push({ ...clusterSnapshot(String(++version), Object.fromEntries(names.map((name) => [name, version]))), reason: 'test' });
    return pilot.server?.connections().length === 0;
  });
  assert.ok(pilot.said.includes('sidecar~1 closed'));
});

async function spawnServer(context: TestContext, listenOn: string, clusters: Record<string, number>): Promise<{ process: ChildProcess; address: string }> {
  const file = fileURLToPath(new URL('./restartable-server.fake.ts', import.meta.url));
  const child = spawn(process.execPath, [file, listenOn, JSON.stringify(clusters)], { stdio: ['ignore', 'pipe', 'inherit'] });
  context.after(() => child.kill('SIGKILL'));
  let printed = '';
  child.stdout.on('data', (chunk: Buffer) => (printed += chunk.toString()));
  const address = await waitFor('the server process to listen', () => /^(.+)\n/.exec(printed)?.[1]);
  return { process: child, address };
}

for (const protocol of ['delta', 'sotw'] as const)
  test(`a client tells how its application is, on each change and on each new stream (${protocol})`, async (context) => {
    const pilot = new Pilot(clusterSnapshot('1', { a: 1 }));
    const address = await pilot.start(context);
    const listeners = new Set<() => void>();
    const health: { -readonly [K in keyof HealthSource]: HealthSource[K] } = { current: undefined, subscribe: (listener) => { listeners.add(listener); return () => listeners.delete(listener); } };
    const proxy = new Proxy(context, address, { health, protocol });
    const become = (current: HealthSource['current']) => {
      health.current = current;
      for (const listener of listeners) listener();
    };
    await waitFor('the client to follow', () => pilot.said.includes('sidecar~1 follows 1'));
    assert.deepEqual(pilot.said.filter((line) => line.includes(' is ')), []);
    become({ healthy: true });
    become({ healthy: false, reason: 'refused' });
    const reports = () => pilot.said.filter((line) => line.includes(' is '));
    await waitFor('both reports', () => reports().length === 2);
    assert.deepEqual(reports(), ['sidecar~1 is healthy', 'sidecar~1 is refused']);
    proxy.client.reconnect('test');
    await waitFor('the report on the new stream', () => reports().length === 3);
    assert.equal(reports()[2], 'sidecar~1 is refused');
    await proxy.client.stop();
    assert.equal(listeners.size, 0);
  });

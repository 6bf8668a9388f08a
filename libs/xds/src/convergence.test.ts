import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { deltaXdsClient, sotwXdsClient, type XdsClient } from './client/xds-client.ts';
import type { ClientUpdate } from './client/client-types.ts';
import { testSet } from './resource-set.fake.ts';
import { xdsSnapshot, type XdsResource, type XdsSnapshot } from './resource-set.ts';
import { xdsType } from './resource-types.ts';
import { deltaSequencer, sotwSequencer, type PushSequencer } from './server/push-sequencer.ts';
import type { RequestFields, Subscription } from './server/subscription.ts';

const { cluster, endpoint, listener, route } = xdsType;
const node = { id: 'n', cluster: '', dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [] };

/** Cluster → version, route → the cluster it names. Listeners point at routes: "l" lists them all. */
interface World {
  readonly clusters: Readonly<Record<string, string>>;
  readonly routes: Readonly<Record<string, string>>;
}

type Step =
  | { readonly kind: 'push'; readonly world: World }
  | { readonly kind: 'to-client' }
  | { readonly kind: 'to-server' }
  | { readonly kind: 'reconnect' }
  | { readonly kind: 'time' }
  | { readonly kind: 'settle'; readonly index: number; readonly refuse: boolean };

const world: fc.Arbitrary<World> = fc
  .dictionary(fc.constantFrom('a', 'b', 'c', 'd'), fc.constantFrom('1', '2', '3'), { minKeys: 1 })
  .chain((clusters) => fc.record({ clusters: fc.constant({ ...clusters }), routes: fc.dictionary(fc.constantFrom('r', 's', 't'), fc.constantFrom(...Object.keys(clusters))).map((routes) => ({ ...routes })) }));

function steps(options: { readonly refusals: boolean; readonly reconnects: boolean; readonly time?: boolean }): fc.Arbitrary<Step[]> {
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 2, arbitrary: world.map((value): Step => ({ kind: 'push', world: value })) },
    { weight: 6, arbitrary: fc.constant<Step>({ kind: 'to-client' }) },
    { weight: 6, arbitrary: fc.constant<Step>({ kind: 'to-server' }) },
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('settle' as const), index: fc.nat(5), refuse: options.refusals ? fc.boolean() : fc.constant(false) }) },
    { weight: options.time === false ? 0 : 1, arbitrary: fc.constant<Step>({ kind: 'time' }) },
    { weight: options.reconnects ? 1 : 0, arbitrary: fc.constant<Step>({ kind: 'reconnect' }) },
  );
  return fc.array(step, { maxLength: 120, size: 'max' });
}

/** One server, one client, and the two lines between them, as slow as the steps say. */
class Wire<S extends Subscription, Request extends RequestFields, Response> {
  readonly client: XdsClient<Request, Response>;
  readonly makeSequencer: () => PushSequencer<S, Request, Response>;
  sequencer: PushSequencer<S, Request, Response>;
  toServer: Request[] = [];
  toClient: Response[] = [];
  undecided: ClientUpdate[] = [];
  config = new Map<string, Map<string, XdsResource>>([cluster, endpoint, listener, route].map((typeUrl) => [typeUrl, new Map()]));
  target: XdsSnapshot = snapshotOf('0', { clusters: { a: '1' }, routes: { r: 'a' } });
  revision = 0;
  now = 0;
  followed: string | undefined;

  constructor(makeSequencer: () => PushSequencer<S, Request, Response>, client: XdsClient<Request, Response>) {
    this.makeSequencer = makeSequencer;
    this.sequencer = makeSequencer();
    this.client = client;
    this.take(client.subscribe(cluster, '*'));
    this.take(client.subscribe(listener, '*'));
    this.reconnect();
  }

  run(step: Step): void {
    if (step.kind === 'push') {
      this.target = snapshotOf(String(++this.revision), step.world);
      this.sequencer.push(this.target);
      this.advance();
    } else if (step.kind === 'reconnect') this.reconnect();
    else if (step.kind === 'time') {
      this.now += 10_000;
      this.advance();
    }
    else if (step.kind === 'to-server') this.deliverToServer();
    else if (step.kind === 'to-client') this.deliverToClient();
    else this.settle(step.index, step.refuse);
  }

  reconnect(): void {
    this.toServer = [];
    this.toClient = [];
    this.sequencer = this.makeSequencer();
    this.sequencer.push(this.target);
    this.take(this.client.connected());
  }

  deliverToServer(): void {
    const request = this.toServer.shift();
    if (request === undefined) return;
    this.sequencer.receive(request);
    this.advance();
  }

  deliverToClient(): void {
    const response = this.toClient.shift();
    if (response !== undefined) this.take(this.client.received(response));
  }

  advance(): void {
    const { responses, events } = this.sequencer.advance(this.now);
    for (const event of events) if (event.kind === 'follow') this.followed = event.revision;
    this.toClient.push(...responses);
  }

  settle(index: number, refuse: boolean): void {
    const update = this.undecided[index % Math.max(1, this.undecided.length)];
    if (!update) return;
    this.undecided = this.undecided.filter((other) => other !== update);
    const refused = refuse ? update.added.slice(0, 1) : [];
    const held = this.config.get(update.typeUrl) ?? new Map<string, XdsResource>();
    const asked = this.subscribed.get(update.typeUrl);
    for (const resource of update.added) if (!refused.includes(resource) && (!asked || asked.has(resource.name))) held.set(resource.name, resource);
    for (const name of update.removed) held.delete(name);
    const verdict = refused.length > 0 ? { kind: 'reject' as const, resources: refused.map(({ name }) => ({ name, reason: 'refused' })) } : { kind: 'accept' as const };
    // As Envoy does: the ACK first, then the subscriptions that follow from what was accepted.
    this.take(this.client.settle(update.ticket, verdict));
    if (update.typeUrl === cluster) this.follow(endpoint, [...held.keys()]);
    if (update.typeUrl === listener) this.follow(route, [...held.values()].flatMap((resource) => textOf(resource).split(',').filter(Boolean)));
  }

  /** Asks for exactly these names. */
  follow(typeUrl: string, names: readonly string[]): void {
    const held = this.config.get(typeUrl) ?? new Map<string, XdsResource>();
    const before = this.subscribed.get(typeUrl) ?? new Set<string>();
    const dropped = [...before].filter((name) => !names.includes(name));
    for (const name of dropped) held.delete(name);
    this.subscribed.set(typeUrl, new Set(names));
    this.take(this.client.unsubscribe(typeUrl, dropped));
    this.take(this.client.subscribe(typeUrl, names));
  }

  readonly subscribed = new Map<string, Set<string>>();

  /** Delivers and accepts everything until nothing moves; then again after every deadline. */
  quiesce(): void {
    for (let round = 0; round < 20; round++) {
      for (let moved = true; moved; ) {
        moved = this.toServer.length + this.toClient.length + this.undecided.length > 0;
        this.deliverToServer();
        this.deliverToClient();
        this.settle(0, false);
      }
      this.now += 10_000;
      this.advance();
    }
  }

  take(output: { readonly requests: readonly Request[]; readonly updates: readonly ClientUpdate[] }): void {
    this.toServer.push(...output.requests);
    this.undecided.push(...output.updates);
  }

  /** Routes the client runs that name a cluster it does not have. */
  dangling(): string[] {
    const clusters = this.config.get(cluster);
    return [...(this.config.get(route)?.values() ?? [])].filter((resource) => !clusters?.has(textOf(resource))).map((resource) => resource.name);
  }

  has(typeUrl: string): Record<string, string> {
    return Object.fromEntries([...(this.config.get(typeUrl) ?? [])].map(([name, resource]) => [name, textOf(resource)]));
  }
}

function snapshotOf(revision: string, { clusters, routes }: World): XdsSnapshot {
  return xdsSnapshot(revision, [testSet(cluster, clusters), testSet(endpoint, clusters), testSet(listener, { l: Object.keys(routes).join(',') }), testSet(route, routes)]);
}

function textOf(resource: XdsResource): string {
  const reader = new BinaryReader(resource.any.value);
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === 2) return reader.string();
    reader.skip(wireType);
  }
  return '';
}

const deltaWire = () => new Wire(() => deltaSequencer(), deltaXdsClient(node));
const sotwWire = () => new Wire(() => sotwSequencer(), sotwXdsClient(node));

for (const [protocol, wire] of [['delta', deltaWire], ['state-of-the-world', sotwWire]] as const) {
  test(`${protocol}: a client ends with the last snapshot, whatever was refused, lost or late`, () => {
    fc.assert(
      fc.property(steps({ refusals: true, reconnects: true }), world, (sequence, last) => {
        const mesh = wire();
        for (const step of sequence) mesh.run(step);
        mesh.run({ kind: 'reconnect' });
        mesh.run({ kind: 'push', world: last });
        mesh.quiesce();
        assert.deepEqual(mesh.has(cluster), last.clusters);
        assert.deepEqual(mesh.has(endpoint), last.clusters);
        assert.deepEqual(mesh.has(route), last.routes);
        assert.equal(mesh.followed, mesh.target.revision);
      }),
      { numRuns: 200 },
    );
  });

  for (const [when, options] of [['whatever it refuses and however late it answers', { refusals: true, reconnects: false }], ['however often it comes back', { refusals: protocol === 'delta', reconnects: protocol === 'delta', time: false }]] as const) test(`${protocol}: no route the client runs names a cluster it does not have, ${when}`, () => {
    fc.assert(
      fc.property(steps(options), (sequence) => {
        const mesh = wire();
        for (const step of sequence) {
          mesh.run(step);
          assert.deepEqual(mesh.dangling(), []);
        }
        mesh.quiesce();
        assert.deepEqual(mesh.dangling(), []);
      }),
      { numRuns: 200 },
    );
  });

  test(`${protocol}: a revision is reported as followed only when the client runs exactly it`, () => {
    fc.assert(
      fc.property(steps({ refusals: true, reconnects: false }), (sequence) => {
        const mesh = wire();
        const worlds = new Map<string, World>([['0', { clusters: { a: '1' }, routes: { r: 'a' } }]]);
        for (const step of sequence) {
          const before = mesh.followed;
          mesh.run(step);
          if (step.kind === 'push') worlds.set(mesh.target.revision, step.world);
          const now = mesh.followed;
          if (now === undefined || now === before || mesh.undecided.length + mesh.toClient.length + mesh.toServer.length > 0) continue;
          assert.deepEqual(mesh.has(cluster), worlds.get(now)?.clusters);
        }
      }),
      { numRuns: 200 },
    );
  });
}

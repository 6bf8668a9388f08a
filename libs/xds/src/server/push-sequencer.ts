import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import type { ResourceSet, XdsResource, XdsSnapshot } from '../resource-set.ts';
import { isKnownType, xdsType } from '../resource-types.ts';
import { deltaProtocol, type DeltaSubscription } from './delta-subscription.ts';
import { isUnordered, pushOrder } from './push-order.ts';
import { sotwProtocol, type SotwSubscription } from './sotw-subscription.ts';
import { wantsAnything, type Part, type RequestFields, type ServerProtocol, type Subscription } from './subscription.ts';
import type { Refusal, SubscribedNames, TypeStatus } from './type-status.ts';

export interface SequencerOptions {
  /** False sends all types at once: for proxyless gRPC, which asks for clusters after routes. Default true. */
  readonly ordered?: boolean;
  /** Longest wait for an ACK before the push goes on; default 5,000. */
  readonly stepDeadlineMs?: number;
  /** Makes nonces of two streams differ; default ''. */
  readonly noncePrefix?: string;
}

/** What happened on a stream, oldest first. */
export type SequencerEvent =
  | { readonly kind: 'subscribe'; readonly typeUrl: string; readonly subscribed: SubscribedNames }
  | { readonly kind: 'ack'; readonly typeUrl: string; readonly version: string }
  | { readonly kind: 'nack'; readonly typeUrl: string; readonly refusal: Refusal }
  | { readonly kind: 'lagging'; readonly typeUrl: string; readonly revision: string }
  /** Everything the client asked for of this revision was answered; `refused` is what it will not take, from this revision or an earlier one. */
  | { readonly kind: 'settle'; readonly revision: string; readonly refused: readonly RefusedResource[] }
  | { readonly kind: 'follow'; readonly revision: string };

/** A resource that a client does not run as it was last sent. */
export interface RefusedResource {
  readonly typeUrl: string;
  readonly name: string;
}

/** What to write to the stream, in this order, and what to tell. */
export interface SequencerOutput<Response> {
  readonly responses: readonly Response[];
  readonly events: readonly SequencerEvent[];
}

/** One type of the stream. `deadline` is when the open response of this type is waited for no longer. */
interface Entry<S> {
  state: S;
  deadline: number | undefined;
  lagging: boolean;
}

export type DeltaSequencer = PushSequencer<DeltaSubscription, DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
export type SotwSequencer = PushSequencer<SotwSubscription, DiscoveryRequest, DiscoveryResponse>;

/** A sequencer for an incremental stream. */
export function deltaSequencer(options: SequencerOptions = {}): DeltaSequencer {
  return new PushSequencer(deltaProtocol, options);
}

/** A sequencer for a state-of-the-world stream. */
export function sotwSequencer(options: SequencerOptions = {}): SotwSequencer {
  return new PushSequencer(sotwProtocol, options);
}

/** How many times longer a client is waited for that has yet to ask than one that has yet to answer. */
const stepsToAsk = 12;

/**
 * One client's stream: brings it from what it has to the newest snapshot in an order that never leaves a route without its cluster.
 *
 * `receive` and `push` only take note; `advance` decides what to send now. A caller whose write buffer is full just does not advance yet.
 * It sets a timer for `wakeAt()` and advances then. One snapshot is being brought out at a time, and only the newest one waits.
 */
export class PushSequencer<S extends Subscription, Request extends RequestFields, Response> {
  readonly #protocol: ServerProtocol<S, Request, Response>;
  readonly #ordered: boolean;
  readonly #stepDeadlineMs: number;
  readonly #noncePrefix: string;
  readonly #entries = new Map<string, Entry<S>>();
  #target: XdsSnapshot | undefined;
  #waiting: XdsSnapshot | undefined;
  #inProgress = false;
  /** Until then a new stream may still come to ask for listeners and routes, which may point at what is to be removed. */
  #removalsHeldUntil: number | undefined;
  #removalsHeld = false;
  #endpointsAwaited = false;
  /** Clusters as they stood when this snapshot's turn began: of newer ones the client is expected to ask for endpoints. */
  #clustersAtBegin: S | undefined;
  /** Until then it is. */
  #endpointsAwaitedUntil: number | undefined;
  /** Until then it is expected to ask for what it has yet to see of this snapshot. */
  #askingUntil: number | undefined;
  /** Until then it is expected to ask for listeners at all, whatever snapshots come meanwhile: afterwards it wants none. */
  #listenersAwaitedUntil: number | undefined;
  /** It asked for every route of the snapshot that it followed last; undefined: it has followed none. */
  #asksForAllRoutes: boolean | undefined;
  #followed: string | undefined;
  #settled: string | undefined;
  #nonces = 0;
  #responses: Response[] = [];
  #events: SequencerEvent[] = [];

  constructor(protocol: ServerProtocol<S, Request, Response>, options: SequencerOptions) {
    this.#protocol = protocol;
    this.#ordered = options.ordered ?? true;
    this.#stepDeadlineMs = options.stepDeadlineMs ?? 5000;
    this.#noncePrefix = options.noncePrefix ?? '';
  }

  /** Takes one request; requests for unknown types are answered with nothing. The events say what was in it. */
  receive(request: Request): readonly SequencerEvent[] {
    if (!isKnownType(request.typeUrl)) return [];
    const entry = this.#entries.get(request.typeUrl) ?? { state: this.#protocol.open(request.typeUrl), deadline: undefined, lagging: false };
    this.#entries.set(request.typeUrl, entry);
    const { state, namesChanged, answer } = this.#protocol.receive(entry.state, request);
    entry.state = state;
    if (state.acknowledgements.pending.size === 0) {
      entry.deadline = undefined;
      entry.lagging = false;
    }
    const events: SequencerEvent[] = [];
    if (answer) events.push({ ...answer, typeUrl: request.typeUrl });
    if (namesChanged) events.push({ kind: 'subscribe', typeUrl: request.typeUrl, subscribed: { wildcard: state.wildcard, names: state.names } });
    return events;
  }

  /** Names of this type that the current snapshot lacks stay unanswered until the next snapshot's turn. */
  holdMissing(typeUrl: string): void {
    const entry = this.#entries.get(typeUrl);
    if (entry) entry.state = { ...entry.state, moreComes: true, upToDateWith: undefined };
  }

  /** Takes the newest snapshot; one that still waits is forgotten. */
  push(snapshot: XdsSnapshot): void {
    this.#waiting = snapshot;
  }

  /** Puts a set of a type that depends on nothing in place of the one that is being brought out, or waits: it need not wait for anything. */
  amend(set: ResourceSet): void {
    const amended = (snapshot: XdsSnapshot | undefined) => snapshot && { ...snapshot, resources: new Map([...snapshot.resources, [set.typeUrl, set]]) };
    this.#target = amended(this.#target);
    this.#waiting = amended(this.#waiting);
  }

  /** Sends what may be sent now. `nowMs` is any clock that does not go back. */
  advance(nowMs: number): SequencerOutput<Response> {
    this.#responses = [];
    this.#events = [];
    this.#removalsHeldUntil ??= this.#entries.size > 0 ? nowMs + this.#stepDeadlineMs : undefined;
    do {
      if (!this.#inProgress) this.#begin();
      if (!this.#target) break;
      this.#inProgress = !this.#walk(this.#target, nowMs);
      this.#noticeFollow(this.#target, nowMs);
    } while (!this.#inProgress && this.#waiting);
    return { responses: this.#responses, events: this.#events };
  }

  /** When to advance next though nothing happens: the earliest deadline of a step. */
  wakeAt(): number | undefined {
    let earliest = this.#removalsHeld ? this.#removalsHeldUntil : undefined;
    if (this.#askingUntil !== undefined) earliest = Math.min(this.#askingUntil, earliest ?? Infinity);
    if (this.#endpointsAwaited && this.#endpointsAwaitedUntil !== undefined) earliest = Math.min(this.#endpointsAwaitedUntil, earliest ?? Infinity);
    for (const { deadline } of this.#entries.values()) if (deadline !== undefined && (earliest === undefined || deadline < earliest)) earliest = deadline;
    return earliest;
  }

  /** The last revision the client follows. */
  followedRevision(): string | undefined {
    return this.#followed;
  }

  /** Where every type asked for stands. */
  status(): readonly TypeStatus[] {
    return [...this.#entries.values()].map(statusOf);
  }

  /** What the client asks for, by type URL. */
  subscriptions(): ReadonlyMap<string, SubscribedNames> {
    return new Map([...this.#entries].map(([typeUrl, { state }]) => [typeUrl, { wildcard: state.wildcard, names: state.names }]));
  }

  #begin(): void {
    if (!this.#waiting) return;
    this.#target = this.#waiting;
    this.#waiting = undefined;
    this.#clustersAtBegin = this.#entries.get(xdsType.cluster)?.state;
    this.#endpointsAwaitedUntil = undefined;
    this.#askingUntil = undefined;
    for (const entry of this.#entries.values()) if (entry.state.moreComes) entry.state = { ...entry.state, moreComes: false, upToDateWith: undefined };
  }

  /** Walks the order from the top; true when no step is left to wait for. */
  #walk(target: XdsSnapshot, nowMs: number): boolean {
    for (const [typeUrl, entry] of this.#entries) if (!this.#ordered || isUnordered(typeUrl)) this.#send(entry, target, { part: 'all', nowMs });
    this.#removalsHeld = false;
    this.#endpointsAwaited = false;
    if (this.#ordered) {
      for (const step of pushOrder) {
        const entry = this.#entries.get(step.typeUrl);
        if (!entry) continue;
        if (step.part === 'removed' && this.#mustHoldRemovals(entry, target, nowMs)) return false;
        // A client that may still run older routes keeps what those point at, for as long as it takes; everything else goes on.
        if (step.part === 'removed' && !this.#runsNewRoutes(target)) continue;
        this.#send(entry, target, { part: step.part, nowMs });
        if (step.wait && this.#awaits(entry, target, nowMs)) return false;
      }
    }
    let settled = true;
    for (const entry of this.#entries.values()) if (this.#awaits(entry, target, nowMs)) settled = false;
    return settled;
  }

  /** A client that comes back names its types one by one; taking a cluster away before its routes were looked at would break them. */
  #mustHoldRemovals(entry: Entry<S>, target: XdsSnapshot, nowMs: number): boolean {
    if (nowMs >= (this.#removalsHeldUntil ?? nowMs) || (this.#entries.has(xdsType.listener) && this.#entries.has(xdsType.route))) return false;
    const set = target.resources.get(entry.state.typeUrl);
    this.#removalsHeld = set !== undefined && wantsAnything(entry.state) && entry.state.upToDateWith !== set;
    return this.#removalsHeld;
  }

  /** True when nothing that a resource may point at is on its way: then none is asked where it points. */
  #hasTargets(target: XdsSnapshot): boolean {
    const clusters = this.#entries.get(xdsType.cluster)?.state;
    const endpoints = this.#entries.get(xdsType.endpoint)?.state;
    if (!clusters || !wantsAnything(clusters)) return true;
    return hasAll(clusters, target) && (!endpoints || hasAll(endpoints, target));
  }

  /** True when the client has not yet acknowledged a cluster, or its endpoints, that this resource points at. There is no deadline: a route without its cluster breaks traffic. */
  #mustWait(resource: XdsResource, target: XdsSnapshot, nowMs: number): boolean {
    const clusters = this.#entries.get(xdsType.cluster);
    const endpoints = this.#entries.get(xdsType.endpoint);
    if (!resource.pointsAt || !clusters) return false;
    for (const name of resource.pointsAt()) {
      if (!target.resources.get(xdsType.cluster)?.resources.has(name) || !(clusters.state.wildcard || clusters.state.names.has(name))) continue;
      if (!this.#protocol.has(clusters.state, name)) return true;
      if (endpoints && target.resources.get(xdsType.endpoint)?.resources.has(name) && this.#endpointsMissing(name, endpoints.state, nowMs)) return true;
    }
    return false;
  }

  #endpointsMissing(name: string, endpoints: S, nowMs: number): boolean {
    if (endpoints.wildcard || endpoints.names.has(name)) return !this.#protocol.has(endpoints, name);
    if (this.#clustersAtBegin && this.#protocol.has(this.#clustersAtBegin, name)) return false;
    // It has only just got the cluster, and will ask, however busy its machine; one that never asks does not need them.
    this.#endpointsAwaitedUntil ??= nowMs + this.#stepDeadlineMs * stepsToAsk;
    this.#endpointsAwaited ||= nowMs < this.#endpointsAwaitedUntil;
    return nowMs < this.#endpointsAwaitedUntil;
  }

  #runsNewRoutes(target: XdsSnapshot): boolean {
    return [xdsType.listener, xdsType.route].every((typeUrl) => {
      const entry = this.#entries.get(typeUrl);
      const set = target.resources.get(typeUrl);
      if (!entry || !set || !wantsAnything(entry.state)) return true;
      const { pending, refused } = entry.state.acknowledgements;
      return pending.size === 0 && refused.size === 0 && entry.state.upToDateWith === set;
    });
  }

  #send(entry: Entry<S>, target: XdsSnapshot, step: { part: Part; nowMs: number }): void {
    const set = target.resources.get(entry.state.typeUrl);
    if (!set || !wantsAnything(entry.state)) return;
    const pointing = this.#ordered && (entry.state.typeUrl === xdsType.listener || entry.state.typeUrl === xdsType.route) && !this.#hasTargets(target);
    const { state, response } = this.#protocol.send(entry.state, set, {
      part: step.part, nonce: `${this.#noncePrefix}${this.#nonces + 1}`,
      ...(pointing ? { holds: (resource: XdsResource) => this.#mustWait(resource, target, step.nowMs) } : {}),
    });
    entry.state = state;
    if (response === undefined) return;
    this.#nonces++;
    this.#responses.push(response);
    entry.deadline = step.nowMs + this.#stepDeadlineMs;
  }

  /** True while the client owes an answer within its deadline. A deadline that passes is told once. */
  #awaits(entry: Entry<S>, target: XdsSnapshot, nowMs: number): boolean {
    if (entry.deadline === undefined) return false;
    if (nowMs < entry.deadline) return true;
    entry.deadline = undefined;
    entry.lagging = true;
    this.#events.push({ kind: 'lagging', typeUrl: entry.state.typeUrl, revision: target.revision });
    return false;
  }

  #noticeFollow(target: XdsSnapshot, nowMs: number): void {
    const waitingUntil = this.#askingUntil;
    this.#askingUntil = undefined;
    if (this.#followed === target.revision) return;
    const refused: RefusedResource[] = [];
    let [served, behind] = [0, 0];
    for (const [typeUrl, { state }] of this.#entries) {
      const set = target.resources.get(typeUrl);
      if (!set || !wantsAnything(state)) continue;
      served++;
      if (state.acknowledgements.pending.size > 0) return;
      if (state.upToDateWith !== set) behind++;
      for (const name of state.acknowledgements.refused.keys()) refused.push({ typeUrl, name });
    }
    // What hangs on a refused resource stays held back: nothing more is to come until there is another snapshot.
    if (served === 0 || (behind > 0 && (refused.length === 0 || this.#endpointsAwaited || this.#removalsHeld))) return;
    const until = this.#ordered && refused.length === 0 && this.#hasMoreToAsk(target) ? this.#askedUntil(waitingUntil, nowMs + this.#stepDeadlineMs * stepsToAsk) : nowMs;
    if (nowMs < until) {
      this.#askingUntil = until;
      return;
    }
    if (this.#settled !== target.revision) this.#events.push({ kind: 'settle', revision: target.revision, refused });
    this.#settled = target.revision;
    if (refused.length > 0) return;
    this.#followed = target.revision;
    this.#asksForAllRoutes = this.#missingRoute(target) === undefined;
    this.#events.push({ kind: 'follow', revision: target.revision });
  }

  /** A client asks for listeners after clusters, and for routes when it has the listeners: one that has taken what it asked for so far has not said yes to what it has yet to see. */
  #hasMoreToAsk(target: XdsSnapshot): boolean {
    if (!this.#entries.has(xdsType.listener)) return (target.resources.get(xdsType.listener)?.resources.size ?? 0) > 0;
    const asked = this.#entries.get(xdsType.route)?.state;
    // the first time one name will do: which of them it wants is the client's business
    return this.#missingRoute(target) !== undefined && (this.#asksForAllRoutes ?? !(asked && wantsAnything(asked)));
  }

  /** How long it is waited for: for routes anew with each snapshot, for listeners once. */
  #askedUntil(waitingUntil: number | undefined, latest: number): number {
    return this.#entries.has(xdsType.listener) ? (waitingUntil ?? latest) : (this.#listenersAwaitedUntil ??= latest);
  }

  /** The first route table that it has not asked for. */
  #missingRoute(target: XdsSnapshot): string | undefined {
    const asked = this.#entries.get(xdsType.route)?.state;
    if (asked?.wildcard) return undefined;
    for (const name of target.resources.get(xdsType.route)?.resources.keys() ?? []) if (!asked?.names.has(name)) return name;
    return undefined;
  }
}

/** True when the client has acknowledged all there is of a type, and asks for all of it. */
function hasAll({ typeUrl, wildcard, names, upToDateWith, acknowledgements }: Subscription, target: XdsSnapshot): boolean {
  const set = target.resources.get(typeUrl);
  return set !== undefined && upToDateWith === set && acknowledgements.pending.size === 0 && acknowledgements.refused.size === 0 && (wildcard || names.size >= set.resources.size);
}

function statusOf<S extends Subscription>({ state, lagging }: Entry<S>): TypeStatus {
  const { sentVersion, ackedVersion, pending, refused, lastNack } = state.acknowledgements;
  const open = pending.size > 0 || refused.size > 0;
  // A client that came back with everything was sent nothing and is up to date all the same.
  const heldVersion = sentVersion === '' ? (state.upToDateWith?.version ?? '') : '';
  return {
    typeUrl: state.typeUrl,
    state: sentVersion === '' && heldVersion === '' ? 'NOT SENT' : open ? 'STALE' : 'SYNCED',
    sentVersion: sentVersion === '' ? heldVersion : sentVersion,
    ackedVersion: sentVersion === '' ? heldVersion : ackedVersion,
    lastNack,
    lagging,
    names: state.wildcard ? undefined : [...state.names],
  };
}

import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import type { ResourceSet, XdsResource } from '../resource-set.ts';
import { absenceIsSaid, emptyMeansWildcard } from '../resource-types.ts';
import { forgetNames, isNewTo, noAcknowledgements, noteAnswer, noteSent } from './acknowledgements.ts';
import { heldNames, heldOf, heldVersion, heldWith, holdsNothing, type Held } from './held.ts';
import { allOf, setDifference, sharedNames } from './set-difference.ts';
import type { Received, SendOptions, ServerProtocol, Subscription } from './subscription.ts';

/** One type of one incremental stream. */
export interface DeltaSubscription extends Subscription {
  /** What the client holds as far as this stream knows; what it refused is taken back to what it held before. */
  readonly held: Held;
  /** Asked for (again): to be answered whatever is held. */
  readonly owed: ReadonlySet<string>;
  /** The first wildcard answer must come even when it is empty: clients wait for it. */
  readonly answerDue: boolean;
  readonly started: boolean;
}

/** The incremental protocol. Source: xDS protocol specification, "Incremental xDS". */
export const deltaProtocol: ServerProtocol<DeltaSubscription, DeltaDiscoveryRequest, DeltaDiscoveryResponse> = { open, receive, send, has };

const none: ReadonlySet<string> = new Set();

function open(typeUrl: string): DeltaSubscription {
  return {
    typeUrl, wildcard: false, names: none, acknowledgements: noAcknowledgements, upToDateWith: undefined, moreComes: false, sentCount: 0,
    held: holdsNothing, owed: none, answerDue: false, started: false,
  };
}

/** A stale nonce voids only the ACK in a request: names to subscribe and unsubscribe always count, they are not repeated. */
function receive(before: DeltaSubscription, request: DeltaDiscoveryRequest): Received<DeltaSubscription> {
  const sent = before.acknowledgements.pending.get(request.responseNonce);
  const { acknowledgements, answer } = noteAnswer(before.acknowledgements, request.responseNonce, request.errorDetail?.message);
  let state: DeltaSubscription = { ...before, acknowledgements, started: true };
  if (answer?.kind === 'nack' && sent) {
    // What was sent later is another matter.
    const back = answer.refusal.resources.filter((name) => heldVersion(before, name) === (sent.versions.get(name) ?? ''));
    state = { ...state, held: heldWith(state.held, back.map((name) => [name, sent.heldBefore?.(name) ?? ''])) };
  }
  const first = !before.started;
  const legacyWildcard = first && request.resourceNamesSubscribe.length === 0 && emptyMeansWildcard(request.typeUrl);
  const subscribe = legacyWildcard ? ['*'] : request.resourceNamesSubscribe;
  if (request.resourceNamesUnsubscribe.length > 0) state = unsubscribed(state, request.resourceNamesUnsubscribe);
  if (subscribe.length > 0) state = subscribed(state, subscribe, first ? request.initialResourceVersions : {});
  return { state, namesChanged: subscribe.length > 0 || request.resourceNamesUnsubscribe.length > 0, answer };
}

/** Adds names. What the client says it holds from an earlier stream is compared instead of being sent anew; all else asked for is owed. */
function subscribed(before: DeltaSubscription, names: readonly string[], told: Readonly<Record<string, string>>): DeltaSubscription {
  const toldEntries = Object.entries(told);
  const explicit = new Set(before.names);
  // asked for by name for the first time, all that is asked for is owed: one set does for both, for clients name thousands
  const owed = before.names.size + before.owed.size + toldEntries.length === 0 && !names.includes('*') ? explicit : new Set(before.owed);
  const over = new Map(before.held.over);
  const wildcard = before.wildcard || names.includes('*');
  for (const name of names) {
    if (name === '*') for (const other of heldNames(before)) owed.add(other);
    if (name === '*') continue;
    // Held under an earlier subscription that has ended.
    if (!before.wildcard && !before.names.has(name) && before.held.base?.resources.has(name)) over.set(name, '');
    explicit.add(name);
    if (toldEntries.length === 0 || !Object.hasOwn(told, name)) owed.add(name);
  }
  for (const [name, version] of toldEntries) if (wildcard || explicit.has(name)) over.set(name, version);
  const answerDue = before.answerDue || (names.includes('*') && toldEntries.length === 0);
  return { ...before, names: explicit, owed, held: { base: before.held.base, over }, wildcard, answerDue, upToDateWith: undefined };
}

/** Removes names. One that the wildcard still covers is owed: the client cannot tell whether it may keep it. */
function unsubscribed(before: DeltaSubscription, names: readonly string[]): DeltaSubscription {
  const explicit = new Set(before.names);
  const owed = new Set(before.owed);
  const over = new Map(before.held.over);
  const wildcard = before.wildcard && !names.includes('*');
  for (const name of names) if (name !== '*' && explicit.delete(name) && wildcard) owed.add(name);
  if (!wildcard) {
    for (const name of owed) if (!explicit.has(name)) owed.delete(name);
    for (const name of over.keys()) if (!explicit.has(name)) over.delete(name);
  }
  const gone = wildcard ? [] : [...before.acknowledgements.refused.keys()].filter((name) => !explicit.has(name));
  const answerDue = before.answerDue && wildcard;
  return { ...before, names: explicit, owed, held: { base: before.held.base, over }, wildcard, answerDue, acknowledgements: forgetNames(before.acknowledgements, gone), upToDateWith: undefined };
}

/** True when the client has acknowledged some version of it, or said that it has one. */
function has(state: DeltaSubscription, name: string): boolean {
  return heldVersion(state, name) !== '' && !isNewTo(state.acknowledgements, name);
}

function send(before: DeltaSubscription, set: ResourceSet, options: SendOptions): { state: DeltaSubscription; response: DeltaDiscoveryResponse | undefined } {
  if (before.upToDateWith === set) return { state: before, response: undefined };
  const changes = shortcut(before, set, options) ?? difference(before, set, options);
  const sayNothing = changes.updated.length === 0 && changes.removed.length === 0 && !(before.answerDue && options.part !== 'removed');
  if (sayNothing) return { state: changes.complete ? settled(before, set) : before, response: undefined };
  const state = afterSending(before, changes, { nonce: options.nonce, version: set.version });
  return { state: changes.complete ? settled(state, set) : { ...state, upToDateWith: undefined }, response: responseOf(set, changes, options.nonce) };
}

interface Changes {
  readonly updated: readonly XdsResource[];
  readonly removed: readonly string[];
  /** True when this part leaves nothing over for a later one. */
  readonly complete: boolean;
}

/** For the many clients that hold one whole set, or nothing yet: what to tell them is known from the first of them. */
function shortcut(state: DeltaSubscription, set: ResourceSet, { part, holds }: SendOptions): Changes | undefined {
  const { upToDateWith, held, owed, acknowledgements } = state;
  if (holds || acknowledgements.refused.size > 0 || held.over.size > 0) return undefined;
  if (upToDateWith === undefined) {
    const asksForAll = held.base === undefined && part !== 'removed' && (state.wildcard ? state.names.size === 0 && owed.size === 0 : owed.size === state.names.size && sharedNames(state.names, set) !== state.names);
    return asksForAll ? { updated: allOf(set), removed: [], complete: true } : undefined;
  }
  if (owed.size > 0) return undefined;
  const { updated, removed, added } = setDifference(upToDateWith, set);
  const asked = state.wildcard || updated.every(({ name }) => state.names.has(name)) ? updated : updated.filter(({ name }) => state.names.has(name));
  const said = absenceIsSaid(set.typeUrl) ? removed : [];
  const gone = state.wildcard || said.length === 0 ? said : said.filter((name) => state.names.has(name));
  if (part === 'new') return asked.some(({ name }) => added.has(name)) ? undefined : { updated: [], removed: [], complete: asked.length + gone.length === 0 };
  if (part === 'removed') return asked.length > 0 ? undefined : { updated: [], removed: gone, complete: true };
  if (part === 'changed') return { updated: asked, removed: [], complete: gone.length === 0 };
  return { updated: asked, removed: gone, complete: true };
}

function difference(state: DeltaSubscription, set: ResourceSet, { part, holds }: SendOptions): Changes {
  const updated: XdsResource[] = [];
  const removed: string[] = [];
  const { refused } = state.acknowledgements;
  let complete = true;
  const take = <T>(into: T[], value: T, included: boolean): void => {
    if (included) into.push(value);
    else complete = false;
  };
  const candidates = state.wildcard ? set.resources.keys() : state.names;
  for (const name of candidates) {
    const resource = set.resources.get(name);
    const held = heldVersion(state, name);
    const owed = state.owed.has(name);
    if (!resource || (held === resource.version && !owed) || (refused.get(name) === resource.version && !owed)) continue;
    take(updated, resource, (part === 'new' ? held === '' || owed : part !== 'removed') && holds?.(resource) !== true);
  }
  for (const name of gone(state, set)) {
    if (heldVersion(state, name) === '') take(removed, name, part !== 'removed' && !state.moreComes);
    else if (refused.get(name) !== '') take(removed, name, part === 'removed' || part === 'all');
  }
  return { updated, removed, complete };
}

/** Names to report as not there: held and vanished, or owed and missing. */
function* gone(state: DeltaSubscription, set: ResourceSet): Iterable<string> {
  if (!absenceIsSaid(set.typeUrl)) return;
  for (const name of heldNames(state)) if (!set.resources.has(name)) yield name;
  for (const name of state.owed) if (!set.resources.has(name) && heldVersion(state, name) === '') yield name;
}

function afterSending(before: DeltaSubscription, changes: Changes, sent: { nonce: string; version: string }): DeltaSubscription {
  const { wildcard, names, held } = before;
  const versions = versionsOf(changes);
  const owed = before.owed.size === 0 ? before.owed : new Set([...before.owed].filter((name) => !versions.has(name)));
  const acknowledgements = noteSent(before.acknowledgements, sent.nonce, { version: sent.version, versions, heldBefore: (name) => heldVersion({ wildcard, names, held }, name) });
  const heldNow = changes.complete ? held : heldWith(held, versions);
  return { ...before, held: heldNow, owed, acknowledgements, answerDue: false, sentCount: before.sentCount + 1 };
}

/** Brought to the whole of a set; what the client refused it does not hold, and what went back to what it holds is refused no more. */
function settled(state: DeltaSubscription, set: ResourceSet): DeltaSubscription {
  const { refused } = state.acknowledgements;
  const base = { ...state, names: sharedNames(state.names, set), upToDateWith: set };
  if (refused.size === 0) return { ...base, held: heldOf(set) };
  const mended = [...refused].filter(([name, version]) => (set.resources.get(name)?.version ?? '') !== version && heldVersion(state, name) === (set.resources.get(name)?.version ?? '')).map(([name]) => name);
  const except = new Map([...refused.keys()].filter((name) => refused.get(name) === (set.resources.get(name)?.version ?? '')).map((name) => [name, heldVersion(state, name)]));
  return { ...base, held: heldOf(set, except), acknowledgements: forgetNames(state.acknowledgements, mended) };
}

/** So many of what was sent last stay for the next client: the four large types for two kinds of clients. */
const keptAtLast = 8;

/**
 * What many clients are sent at one time is made for the first of them; but for the last ones it is kept no longer than the collector likes: it may
 * hold the bytes of a whole table, and there is one for each kind of client.
 */
function forAll<T extends object>(make: (updated: readonly XdsResource[]) => T): (updated: readonly XdsResource[]) => T {
  const known = new WeakMap<readonly XdsResource[], WeakRef<T>>();
  const last: T[] = [];
  return (updated) => {
    const before = known.get(updated)?.deref();
    if (before && last.includes(before)) return before;
    const made = before ?? make(updated);
    if (!before) known.set(updated, new WeakRef(made));
    last.push(made);
    if (last.length > keptAtLast) last.shift();
    return made;
  };
}

const versionMap = forAll((updated): ReadonlyMap<string, string> => new Map(updated.map(({ name, version }) => [name, version])));

function versionsOf({ updated, removed }: Changes): ReadonlyMap<string, string> {
  const versions = versionMap(updated);
  return removed.length === 0 ? versions : new Map([...versions, ...removed.map((name) => [name, ''] as const)]);
}

const wireResources = forAll((updated) => updated.map((resource): Resource => ({ name: resource.name, aliases: [], version: resource.version, resource: resource.any })));

function responseOf(set: ResourceSet, { updated, removed }: Changes, nonce: string): DeltaDiscoveryResponse {
  return { systemVersionInfo: set.version, resources: wireResources(updated), typeUrl: set.typeUrl, removedResources: [...removed], removedResourceNames: [], nonce };
}


import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import type { ResourceSet, XdsResource } from '../resource-set.ts';
import { emptyMeansWildcard } from '../resource-types.ts';
import { forgetNames, noAcknowledgements, noteAnswer, noteSent } from './acknowledgements.ts';
import type { Part, Received, ServerProtocol, Subscription } from './subscription.ts';

/** One type of one incremental stream. */
export interface DeltaSubscription extends Subscription {
  /** What the client holds as far as this stream knows: name → version; '' = asked for, and told that it does not exist. */
  readonly known: ReadonlyMap<string, string>;
  /** Asked for (again): to be answered whatever `known` says. */
  readonly owed: ReadonlySet<string>;
  /** The first wildcard answer must come even when it is empty: clients wait for it. */
  readonly answerDue: boolean;
  readonly started: boolean;
}

/** The incremental protocol. Source: xDS protocol specification, "Incremental xDS". */
export const deltaProtocol: ServerProtocol<DeltaSubscription, DeltaDiscoveryRequest, DeltaDiscoveryResponse> = { open, receive, send };

function open(typeUrl: string): DeltaSubscription {
  return {
    typeUrl,
    wildcard: false,
    names: new Set(),
    acknowledgements: noAcknowledgements,
    upToDateWith: undefined,
    moreComes: false,
    sentCount: 0,
    known: new Map(),
    owed: new Set(),
    answerDue: false,
    started: false,
  };
}

/** A stale nonce voids only the ACK in a request: names to subscribe and unsubscribe always count, they are not repeated. */
function receive(before: DeltaSubscription, request: DeltaDiscoveryRequest): Received<DeltaSubscription> {
  const { acknowledgements, answer } = noteAnswer(before.acknowledgements, request.responseNonce, request.errorDetail?.message);
  let state: DeltaSubscription = { ...before, acknowledgements, started: true };
  const first = !before.started;
  const legacyWildcard = first && request.resourceNamesSubscribe.length === 0 && emptyMeansWildcard(request.typeUrl);
  const subscribe = legacyWildcard ? ['*'] : request.resourceNamesSubscribe;
  if (request.resourceNamesUnsubscribe.length > 0) state = unsubscribed(state, request.resourceNamesUnsubscribe);
  if (subscribe.length > 0) state = subscribed(state, subscribe, first ? request.initialResourceVersions : {});
  return { state, namesChanged: subscribe.length > 0 || request.resourceNamesUnsubscribe.length > 0, answer };
}

/** Adds names. What the client says it holds from an earlier stream is compared instead of being sent anew; all else asked for is owed. */
function subscribed(before: DeltaSubscription, names: readonly string[], held: Readonly<Record<string, string>>): DeltaSubscription {
  const explicit = new Set(before.names);
  const owed = new Set(before.owed);
  const known = new Map(before.known);
  const wildcard = before.wildcard || names.includes('*');
  for (const name of names) {
    if (name !== '*') explicit.add(name);
    if (name !== '*' && !Object.hasOwn(held, name)) owed.add(name);
    if (name === '*') for (const [other, version] of before.known) if (version !== '') owed.add(other);
  }
  const heldEntries = Object.entries(held);
  for (const [name, version] of heldEntries) if (wildcard || explicit.has(name)) known.set(name, version);
  const answerDue = before.answerDue || (names.includes('*') && heldEntries.length === 0);
  return { ...before, names: explicit, owed, known, wildcard, answerDue, upToDateWith: undefined };
}

/** Removes names. One that the wildcard still covers is owed: the client cannot tell whether it may keep it. */
function unsubscribed(before: DeltaSubscription, names: readonly string[]): DeltaSubscription {
  const explicit = new Set(before.names);
  const owed = new Set(before.owed);
  const known = new Map(before.known);
  const wildcard = before.wildcard && !names.includes('*');
  for (const name of names) if (name !== '*' && explicit.delete(name) && wildcard) owed.add(name);
  if (!wildcard) {
    for (const name of owed) if (!explicit.has(name)) owed.delete(name);
    for (const name of known.keys()) if (!explicit.has(name)) known.delete(name);
  }
  const gone = wildcard ? [] : [...before.acknowledgements.refused].filter((name) => !explicit.has(name));
  const answerDue = before.answerDue && wildcard;
  return { ...before, names: explicit, owed, known, wildcard, answerDue, acknowledgements: forgetNames(before.acknowledgements, gone), upToDateWith: undefined };
}

function send(before: DeltaSubscription, set: ResourceSet, options: { readonly part: Part; readonly nonce: string }): { state: DeltaSubscription; response: DeltaDiscoveryResponse | undefined } {
  if (before.upToDateWith === set) return { state: before, response: undefined };
  const changes = difference(before, set, options.part);
  const sayNothing = changes.updated.length === 0 && changes.removed.length === 0 && !(before.answerDue && options.part !== 'removed');
  const upToDateWith = changes.complete ? set : undefined;
  if (sayNothing) return { state: { ...before, upToDateWith }, response: undefined };
  const state = { ...afterSending(before, changes, { nonce: options.nonce, version: set.version }), upToDateWith };
  return { state, response: responseOf(set, changes, options.nonce) };
}

interface Changes {
  readonly updated: readonly XdsResource[];
  readonly removed: readonly string[];
  /** True when this part leaves nothing over for a later one. */
  readonly complete: boolean;
}

function difference(state: DeltaSubscription, set: ResourceSet, part: Part): Changes {
  const updated: XdsResource[] = [];
  const removed: string[] = [];
  let complete = true;
  const take = <T>(into: T[], value: T, included: boolean): void => {
    if (included) into.push(value);
    else complete = false;
  };
  const candidates = state.wildcard ? set.resources.keys() : state.names;
  for (const name of candidates) {
    const resource = set.resources.get(name);
    const known = state.known.get(name) ?? '';
    if (resource && (known !== resource.version || state.owed.has(name))) take(updated, resource, part === 'new' ? known === '' || state.owed.has(name) : part !== 'removed');
  }
  for (const name of gone(state, set)) {
    const held = (state.known.get(name) ?? '') !== '';
    if (held) take(removed, name, part === 'removed' || part === 'all');
    else take(removed, name, part !== 'removed' && !state.moreComes);
  }
  return { updated, removed, complete };
}

/** Names to report as not there: held and vanished, or owed and missing. */
function* gone(state: DeltaSubscription, set: ResourceSet): Iterable<string> {
  for (const [name, version] of state.known) if (version !== '' && !set.resources.has(name)) yield name;
  for (const name of state.owed) if (!set.resources.has(name) && (state.known.get(name) ?? '') === '') yield name;
}

function afterSending(before: DeltaSubscription, changes: Changes, sent: { nonce: string; version: string }): DeltaSubscription {
  const known = new Map(before.known);
  const owed = new Set(before.owed);
  const versions = new Map<string, string>();
  for (const { name, version } of changes.updated) {
    known.set(name, version);
    versions.set(name, version);
    owed.delete(name);
  }
  for (const name of changes.removed) {
    if (before.names.has(name)) known.set(name, '');
    else known.delete(name);
    versions.set(name, '');
    owed.delete(name);
  }
  const acknowledgements = noteSent(before.acknowledgements, sent.nonce, { version: sent.version, versions });
  return { ...before, known, owed, acknowledgements, answerDue: false, sentCount: before.sentCount + 1 };
}

function responseOf(set: ResourceSet, changes: Changes, nonce: string): DeltaDiscoveryResponse {
  const resources = changes.updated.map((resource): Resource => ({ name: resource.name, aliases: [], version: resource.version, resource: resource.any }));
  return { systemVersionInfo: set.version, resources, typeUrl: set.typeUrl, removedResources: [...changes.removed], removedResourceNames: [], nonce };
}

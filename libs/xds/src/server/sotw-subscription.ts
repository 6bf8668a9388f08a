import type { DiscoveryRequest, DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { versionOfAll, type ResourceSet, type XdsResource } from '../resource-set.ts';
import { emptyMeansWildcard, responseIsComplete } from '../resource-types.ts';
import { forgetNames, noAcknowledgements, noteAnswer, noteSent, type Acknowledgements } from './acknowledgements.ts';
import { wantsAnything, type Part, type Received, type SendOptions, type ServerProtocol, type Subscription } from './subscription.ts';

/** One type of one state-of-the-world stream. */
export interface SotwSubscription extends Subscription {
  /** What the last response held, of the names still asked for. */
  readonly sent: ReadonlyMap<string, XdsResource>;
  /** What the client has taken, as far as it said. */
  readonly taken: ReadonlyMap<string, XdsResource>;
  /** Nonce of the last response; requests about an older one are stale. */
  readonly nonce: string;
  /** Asked for something the last response did not answer. */
  readonly answerDue: boolean;
  /** Named something once: from then on an empty list means nothing, not everything. */
  readonly namedOnce: boolean;
}

/** The state-of-the-world protocol, aggregated. Source: xDS protocol specification. */
export const sotwProtocol: ServerProtocol<SotwSubscription, DiscoveryRequest, DiscoveryResponse> = { open, receive, send, has };

function open(typeUrl: string): SotwSubscription {
  return {
    typeUrl,
    wildcard: false,
    names: new Set(),
    acknowledgements: noAcknowledgements,
    upToDateWith: undefined,
    moreComes: false,
    sentCount: 0,
    sent: new Map(),
    taken: new Map(),
    nonce: '',
    answerDue: false,
    namedOnce: false,
  };
}

/** A request with a stale nonce is void as a whole: the client repeats its names when it answers the newer response. */
function receive(before: SotwSubscription, request: DiscoveryRequest): Received<SotwSubscription> {
  if (request.responseNonce !== '' && request.responseNonce !== before.nonce) return { state: before, namesChanged: false, answer: undefined };
  const { acknowledgements, answer } = noteAnswer(before.acknowledgements, request.responseNonce, request.errorDetail?.message);
  const taken = answer === undefined ? before.taken : answer.kind === 'ack' ? before.sent : withoutRefused(before, answer.refusal.resources);
  const names = new Set(request.resourceNames);
  const namedOnce = before.namedOnce || names.size > 0;
  const wildcard = names.delete('*') || (!namedOnce && emptyMeansWildcard(request.typeUrl));
  const added = (wildcard && !before.wildcard) || [...names].some((name) => !before.names.has(name));
  const dropped = before.wildcard && !wildcard ? true : [...before.names].some((name) => !names.has(name));
  if (!added && !dropped) return { state: { ...before, acknowledgements, taken, namedOnce }, namesChanged: false, answer };
  const sent = wildcard ? before.sent : new Map([...before.sent].filter(([name]) => names.has(name)));
  const forgotten = wildcard ? [] : [...acknowledgements.refused.keys()].filter((name) => !names.has(name));
  const answerDue = wantsAnything({ wildcard, names }) && (before.answerDue || added);
  return {
    state: { ...before, acknowledgements: forgetNames(acknowledgements, forgotten), names, wildcard, namedOnce, sent, taken, answerDue, upToDateWith: undefined },
    namesChanged: true,
    answer,
  };
}

/**
 * A response is refused as a whole or in part: what was not blamed counts as taken, for what is blamed the client keeps what it had. What a response in between
 * took away it may have no more: answers to older responses are not heard.
 */
function withoutRefused({ sent, taken, acknowledgements: { pending }, nonce }: SotwSubscription, refused: readonly string[]): ReadonlyMap<string, XdsResource> {
  const kept = new Map(sent);
  for (const name of refused) {
    const earlier = isTakenAway(pending, name, nonce) ? undefined : taken.get(name);
    if (earlier) kept.set(name, earlier);
    else kept.delete(name);
  }
  return kept;
}

/** True when the client has acknowledged some version of it, and no response on its way takes it away in between. */
function has({ taken, acknowledgements: { pending } }: SotwSubscription, name: string): boolean {
  return taken.has(name) && !isTakenAway(pending, name);
}

/** Whether an open response, other than the one `but`, was without the name. */
function isTakenAway(pending: Acknowledgements['pending'], name: string, but?: string): boolean {
  for (const [nonce, { versions }] of pending) if (nonce !== but && versions.get(name) === '') return true;
  return false;
}

function send(before: SotwSubscription, set: ResourceSet, options: SendOptions): { state: SotwSubscription; response: DiscoveryResponse | undefined } {
  if (before.upToDateWith === set || !wantsAnything(before)) return { state: before, response: undefined };
  if (before.moreComes && [...before.names].some((name) => !set.resources.has(name))) return { state: before, response: undefined };
  const { wanted, held } = withoutHeld(wantedOf(before, set), before.sent, options.holds);
  const goneNames = responseIsComplete(set.typeUrl) ? [...before.sent.keys()].filter((name) => !wanted.has(name)) : [];
  const changed = before.answerDue || [...wanted.values()].some((resource) => before.sent.get(resource.name)?.version !== resource.version);
  const due = isDue(options.part, { changed, gone: goneNames.length > 0, asked: before.answerDue });
  const keepsGone = options.part === 'changed' || options.part === 'new';
  if (!due) return { state: { ...before, upToDateWith: held || changed || goneNames.length > 0 ? undefined : set }, response: undefined };
  const content = keepsGone ? unionOf(wanted, before.sent, goneNames) : wanted;
  const state = afterSending(before, content, options.nonce);
  return { state: { ...state, upToDateWith: held || (keepsGone && goneNames.length > 0) ? undefined : set }, response: responseOf(set.typeUrl, content, state) };
}

function isDue(part: Part, difference: { changed: boolean; gone: boolean; asked: boolean }): boolean {
  if (part === 'new') return difference.asked;
  if (part === 'changed') return difference.changed;
  if (part === 'removed') return difference.gone;
  return difference.changed || difference.gone;
}

function wantedOf(state: SotwSubscription, set: ResourceSet): ReadonlyMap<string, XdsResource> {
  if (state.wildcard) return set.resources;
  const wanted = new Map<string, XdsResource>();
  for (const name of state.names) {
    const resource = set.resources.get(name);
    if (resource) wanted.set(name, resource);
  }
  return wanted;
}

/** What must not go out yet stays as it was sent before, or is left out. */
function withoutHeld(wanted: ReadonlyMap<string, XdsResource>, sent: ReadonlyMap<string, XdsResource>, holds: SendOptions['holds']): { wanted: ReadonlyMap<string, XdsResource>; held: boolean } {
  if (!holds) return { wanted, held: false };
  const free = new Map<string, XdsResource>();
  let held = false;
  for (const [name, resource] of wanted) {
    const before = sent.get(name);
    if (before?.version === resource.version || !holds(resource)) {
      free.set(name, resource);
      continue;
    }
    held = true;
    if (before) free.set(name, before);
  }
  return { wanted: free, held };
}

/** Make before break: what goes away stays in the response until routes no longer point at it. */
function unionOf(wanted: ReadonlyMap<string, XdsResource>, sent: ReadonlyMap<string, XdsResource>, goneNames: readonly string[]): ReadonlyMap<string, XdsResource> {
  if (goneNames.length === 0) return wanted;
  const union = new Map(wanted);
  for (const name of goneNames) {
    const resource = sent.get(name);
    if (resource) union.set(name, resource);
  }
  return union;
}

function afterSending(before: SotwSubscription, content: ReadonlyMap<string, XdsResource>, nonce: string): SotwSubscription {
  const versions = new Map<string, string>();
  for (const [name, { version }] of content) versions.set(name, version);
  for (const name of before.sent.keys()) if (!content.has(name)) versions.set(name, '');
  const acknowledgements = noteSent(before.acknowledgements, nonce, { version: versionOfAll(content.values()), versions });
  return { ...before, acknowledgements, sent: content, nonce, answerDue: false, sentCount: before.sentCount + 1 };
}

function responseOf(typeUrl: string, content: ReadonlyMap<string, XdsResource>, state: SotwSubscription): DiscoveryResponse {
  const resources = [...content.values()].map((resource) => resource.any);
  return { versionInfo: state.acknowledgements.sentVersion, resources, canary: false, typeUrl, nonce: state.nonce };
}

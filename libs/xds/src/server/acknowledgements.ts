import type { Refusal } from './type-status.ts';

/** One response on its way: what it said about each resource ('' = removed). */
export interface SentResponse {
  readonly version: string;
  readonly versions: ReadonlyMap<string, string>;
  /** What the client held of a resource before; '' = nothing. */
  readonly heldBefore?: (name: string) => string;
}

/** What one client said to the responses of one type. */
export interface Acknowledgements {
  /** Open responses by nonce, oldest first. */
  readonly pending: ReadonlyMap<string, SentResponse>;
  /** Resources the client refused, and the version it refused ('' = their removal). */
  readonly refused: ReadonlyMap<string, string>;
  readonly lastNack: Refusal | undefined;
  readonly sentVersion: string;
  readonly ackedVersion: string;
}

export type Answer = { readonly kind: 'ack'; readonly version: string } | { readonly kind: 'nack'; readonly refusal: Refusal };

export const noAcknowledgements: Acknowledgements = { pending: new Map(), refused: new Map(), lastNack: undefined, sentVersion: '', ackedVersion: '' };

/** Responses kept open when a client reads and never answers; older ones are given up. */
const maxPending = 64;

/** Notes a response that leaves. */
export function noteSent(before: Acknowledgements, nonce: string, sent: SentResponse): Acknowledgements {
  const pending = new Map(before.pending).set(nonce, sent);
  for (const oldest of pending.keys()) {
    if (pending.size <= maxPending) break;
    pending.delete(oldest);
  }
  return { ...before, pending, sentVersion: sent.version };
}

/**
 * Notes the client's word on a response. It also closes older ones: clients handle the responses of one type in order. A nonce that is not
 * open is stale: no answer.
 */
export function noteAnswer(before: Acknowledgements, nonce: string, error: string | undefined): { readonly acknowledgements: Acknowledgements; readonly answer: Answer | undefined } {
  const sent = before.pending.get(nonce);
  if (!sent) return { acknowledgements: before, answer: undefined };
  const pending = new Map(before.pending);
  for (const older of before.pending.keys()) {
    pending.delete(older);
    if (older === nonce) break;
  }
  return error === undefined ? accepted({ ...before, pending }, sent) : refused({ ...before, pending }, sent, error);
}

/** Drops names the client no longer asks for. */
export function forgetNames(before: Acknowledgements, names: Iterable<string>): Acknowledgements {
  if (before.refused.size === 0) return before;
  const refusedNames = new Map(before.refused);
  for (const name of names) refusedNames.delete(name);
  return withRefused(before, refusedNames);
}

/** True while a resource that the client had nothing of is on its way to it. */
export function isNewTo({ pending }: Acknowledgements, name: string): boolean {
  for (const { versions, heldBefore } of pending.values()) if ((versions.get(name) ?? '') !== '' && (heldBefore?.(name) ?? '') === '') return true;
  return false;
}

function accepted(before: Acknowledgements, sent: SentResponse): { acknowledgements: Acknowledgements; answer: Answer } {
  const still = new Map([...before.refused].filter(([name]) => !sent.versions.has(name)));
  // A refusal that named nobody blamed the whole response: accepting any part of it anew settles it.
  const namedNobody = before.lastNack?.resources.length === before.refused.size && !mentionsAny(before.lastNack);
  const settled = namedNobody && still.size < before.refused.size ? new Map<string, string>() : still;
  return { acknowledgements: { ...withRefused(before, settled), ackedVersion: sent.version }, answer: { kind: 'ack', version: sent.version } };
}

function refused(before: Acknowledgements, sent: SentResponse, message: string): { acknowledgements: Acknowledgements; answer: Answer } {
  const names = [...sent.versions.keys()];
  const named = names.filter((name) => mentions(message, name));
  const refusal: Refusal = { version: sent.version, message, resources: named.length > 0 ? named : names };
  const all = new Map([...before.refused].filter(([name]) => !sent.versions.has(name)));
  for (const name of refusal.resources) all.set(name, sent.versions.get(name) ?? '');
  return { acknowledgements: { ...before, pending: withoutEver(before.pending, sent, new Set(refusal.resources)), refused: all, lastNack: refusal }, answer: { kind: 'nack', refusal } };
}

/** Responses that left meanwhile thought that the client had what it now refuses. */
function withoutEver(pending: Acknowledgements['pending'], refused: SentResponse, names: ReadonlySet<string>): Acknowledgements['pending'] {
  const earlier = (name: string) => refused.heldBefore?.(name) ?? '';
  return new Map([...pending].map(([nonce, later]) => {
    const { heldBefore } = later;
    return [nonce, heldBefore ? { ...later, heldBefore: (name: string) => (names.has(name) && heldBefore(name) === refused.versions.get(name) ? earlier(name) : heldBefore(name)) } : later];
  }));
}

function withRefused(before: Acknowledgements, names: ReadonlyMap<string, string>): Acknowledgements {
  return { ...before, refused: names, lastNack: names.size === 0 ? undefined : before.lastNack };
}

function mentionsAny(refusal: Refusal): boolean {
  return refusal.resources.some((name) => mentions(refusal.message, name));
}

/** True when `message` holds `name` as a word of its own, so that "a.b" does not blame "a". */
function mentions(message: string, name: string): boolean {
  if (name === '') return false;
  for (let at = message.indexOf(name); at >= 0; at = message.indexOf(name, at + 1)) {
    if (!/[\w|-]$/.test(message.slice(Math.max(0, at - 1), at)) && !/^(?:[\w|-]|\.\w)/.test(message.slice(at + name.length, at + name.length + 2))) return true;
  }
  return false;
}

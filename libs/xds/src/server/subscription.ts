import type { Status } from '@meltemi/api/gen/google/rpc/status.ts';
import type { ResourceSet, XdsResource } from '../resource-set.ts';
import type { Acknowledgements, Answer } from './acknowledgements.ts';
import type { SubscribedNames } from './type-status.ts';

/** What one stream wants of one type and what it has: a value, replaced by every step. Both protocols extend it. */
export interface Subscription extends SubscribedNames {
  readonly typeUrl: string;
  readonly acknowledgements: Acknowledgements;
  /** The set this subscription was last brought to entirely; comparing with it again is free. */
  readonly upToDateWith: ResourceSet | undefined;
  /** While true, names that are missing are not answered: the caller is about to make them. */
  readonly moreComes: boolean;
  /** Responses sent so far; the next nonce. */
  readonly sentCount: number;
}

/**
 * Which differences a step sends. 'new': only what the client asked for and does not have. 'changed': new and updated, nothing taken away.
 * 'removed': what is left after 'changed'. 'all': everything at once.
 */
export type Part = 'new' | 'changed' | 'removed' | 'all';

/** What became of one request. */
export interface Received<S> {
  readonly state: S;
  /** True when the client asks for something else than before. */
  readonly namesChanged: boolean;
  /** The ACK or NACK in it, when it was about a response that is still open. */
  readonly answer: Answer | undefined;
}

/** One of the two protocols, as pure functions over its subscription state. */
export interface ServerProtocol<S extends Subscription, Request extends RequestFields, Response> {
  /** A type nobody asked for yet on this stream. */
  open(typeUrl: string): S;
  receive(state: S, request: Request): Received<S>;
  /** Compares with the set and makes at most one response. */
  send(state: S, set: ResourceSet, options: SendOptions): { readonly state: S; readonly response: Response | undefined };
  /** True when the client has some version of it, as far as it said. */
  has(state: S, name: string): boolean;
}

export interface SendOptions {
  readonly part: Part;
  /** Becomes the response's. */
  readonly nonce: string;
  /** Says which resources must not go out yet; the client keeps what it has of them. */
  readonly holds?: (resource: XdsResource) => boolean;
}

/** The fields both protocols' requests share. */
export interface RequestFields {
  readonly typeUrl: string;
  readonly responseNonce: string;
  readonly errorDetail?: Status | undefined;
}

/** True when the client asks for anything at all. */
export function wantsAnything(subscribed: SubscribedNames): boolean {
  return subscribed.wildcard || subscribed.names.size > 0;
}

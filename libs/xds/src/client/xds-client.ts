import type { DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { xdsType } from '../resource-types.ts';
import type { ClientProtocol, ClientSubscription, NameChange, NodeOf, Reading } from './client-protocol.ts';
import type { ClientUpdate, RejectedResource, Verdict } from './client-types.ts';
import { deltaClientProtocol } from './delta-client-protocol.ts';
import { sotwClientProtocol } from './sotw-client-protocol.ts';

/** What to write to the stream, and what to hand to the application, each in this order. */
export interface ClientOutput<Request> {
  readonly requests: readonly Request[];
  readonly updates: readonly ClientUpdate[];
}

/** One type: its subscription, whether this stream knows of it, the response being decided, and those behind it. */
interface Entry<Response> {
  subscription: ClientSubscription;
  started: boolean;
  open: { readonly ticket: number; readonly reading: Reading; readonly stream: number } | undefined;
  queue: Response[];
}

export interface XdsClientOptions {
  /** The node goes with every request, not only a stream's first; default false. */
  readonly nodeInEveryRequest?: boolean;
}

export type DeltaXdsClient = XdsClient<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
export type SotwXdsClient = XdsClient<DiscoveryRequest, DiscoveryResponse>;

/** The client's end of an incremental ADS stream. */
export function deltaXdsClient(node: NodeOf<DeltaDiscoveryRequest>, options: XdsClientOptions = {}): DeltaXdsClient {
  return new XdsClient(deltaClientProtocol, node, options);
}

/** The client's end of a state-of-the-world ADS stream. */
export function sotwXdsClient(node: NodeOf<DiscoveryRequest>, options: XdsClientOptions = {}): SotwXdsClient {
  return new XdsClient(sotwClientProtocol, node, options);
}

/**
 * What one client wants, holds and owes answers for, over any number of streams. Responses of one type are handed out one after the
 * other, each once the one before was decided; types do not wait for each other.
 */
export class XdsClient<Request, Response> {
  readonly #protocol: ClientProtocol<Request, Response>;
  readonly #node: NodeOf<Request>;
  readonly #nodeInEveryRequest: boolean;
  readonly #entries = new Map<string, Entry<Response>>();
  #connected = false;
  #nodeSent = false;
  #stream = 0;
  #tickets = 0;
  #requests: Request[] = [];
  #updates: ClientUpdate[] = [];

  constructor(protocol: ClientProtocol<Request, Response>, node: NodeOf<Request>, options: XdsClientOptions = {}) {
    this.#nodeInEveryRequest = options.nodeInEveryRequest ?? false;
    this.#protocol = protocol;
    this.#node = node;
  }

  /** Asks for names, or '*' for everything; names already asked for change nothing. */
  subscribe(typeUrl: string, names: Iterable<string> | '*'): ClientOutput<Request> {
    const entry = this.#entries.get(typeUrl) ?? newEntry(typeUrl);
    this.#entries.set(typeUrl, entry);
    const { subscription } = entry;
    const added = listOf(names).filter((name) => (name === '*' ? !subscription.wildcard : !subscription.names.has(name)));
    entry.subscription = { ...subscription, wildcard: subscription.wildcard || added.includes('*'), names: new Set([...subscription.names, ...added.filter((name) => name !== '*')]) };
    this.#tell(entry, { subscribe: added, unsubscribe: [] });
    return this.#output();
  }

  /** Takes names back; what was held under them is forgotten unless the wildcard covers it. An update handed out before may still name them: the caller leaves those out. */
  unsubscribe(typeUrl: string, names: Iterable<string> | '*'): ClientOutput<Request> {
    const entry = this.#entries.get(typeUrl);
    if (!entry) return this.#output();
    const { subscription } = entry;
    const dropped = listOf(names).filter((name) => (name === '*' ? subscription.wildcard : subscription.names.has(name)));
    const wildcard = subscription.wildcard && !dropped.includes('*');
    const left = new Set(subscription.names);
    for (const name of dropped) left.delete(name);
    const held = wildcard ? subscription.held : new Map([...subscription.held].filter(([name]) => left.has(name)));
    entry.subscription = { ...subscription, wildcard, names: left, held };
    this.#tell(entry, { subscribe: [], unsubscribe: dropped });
    return this.#output();
  }

  /** A new stream: asks for everything anew, saying what is held. */
  connected(): ClientOutput<Request> {
    this.disconnected();
    this.#connected = true;
    for (const entry of this.#entries.values()) this.#start(entry);
    return this.#output();
  }

  /** The stream ended: responses not yet handed out are void, open ones may still be decided. */
  disconnected(): void {
    this.#connected = false;
    this.#nodeSent = false;
    this.#stream++;
    for (const entry of this.#entries.values()) {
      entry.started = false;
      entry.queue = [];
      entry.subscription = { ...entry.subscription, nonce: '' };
    }
  }

  /** Tells the server of the application's health, where there is a stream; a text says why it is not ready. */
  health(unhealthy: string | undefined): ClientOutput<Request> {
    if (this.#connected) this.#request(this.#protocol.health(unhealthy));
    return this.#output();
  }

  /** Takes a response; one of a type never asked for is ignored. */
  received(response: Response): ClientOutput<Request> {
    const entry = this.#entries.get(this.#protocol.typeUrlOf(response));
    if (entry?.started) {
      entry.queue.push(response);
      this.#next(entry);
    }
    return this.#output();
  }

  /** The application's verdict on an update, once; an unknown ticket changes nothing. After a reconnect it still counts, but no answer goes out. */
  settle(ticket: number, verdict: Verdict): ClientOutput<Request> {
    for (const entry of this.#entries.values()) {
      if (entry.open?.ticket !== ticket) continue;
      const { reading, stream } = entry.open;
      entry.open = undefined;
      const refused = refusedOf(reading, verdict);
      entry.subscription = afterVerdict(entry.subscription, reading, { verdict, refused });
      if (stream === this.#stream && this.#connected) {
        entry.subscription = { ...entry.subscription, nonce: reading.nonce };
        this.#request(this.#protocol.answer(entry.subscription, reading, errorText(verdict, refused)));
      } else if (this.#connected) this.#startAll(entry);
      this.#next(entry);
      break;
    }
    return this.#output();
  }

  /** A TTL is over: the resource is held no more, and an update that nobody needs to settle says so. */
  expire(typeUrl: string, name: string): ClientOutput<Request> {
    const entry = this.#entries.get(typeUrl);
    if (entry?.subscription.held.has(name)) {
      const held = new Map(entry.subscription.held);
      held.delete(name);
      entry.subscription = { ...entry.subscription, held };
      this.#updates.push({ ticket: 0, typeUrl, version: '', added: [], removed: [name], ttls: new Map() });
    }
    return this.#output();
  }

  /** Responses received and not yet handed out: a caller stops reading above its limit. */
  backlog(): number {
    let count = 0;
    for (const entry of this.#entries.values()) count += entry.queue.length;
    return count;
  }

  /** Accepted versions by name, for one type. */
  held(typeUrl: string): ReadonlyMap<string, string> {
    return this.#entries.get(typeUrl)?.subscription.held ?? new Map();
  }

  #tell(entry: Entry<Response>, change: NameChange): void {
    if (!this.#connected || change.subscribe.length + change.unsubscribe.length === 0) return;
    if (!entry.started) this.#start(entry);
    else if (!entry.open || this.#protocol.changesAnytime) this.#request(this.#protocol.change(entry.subscription, change));
  }

  /**
   * A type whose update from an earlier stream is still undecided waits for the verdict: until then the client cannot say what it holds,
   * and a server that does not know of a resource would never remove it. Listeners and routes wait for such clusters, since the server
   * cannot order what it was not asked for.
   */
  #start(entry: Entry<Response>): void {
    const { typeUrl } = entry.subscription;
    if (entry.started || entry.open) return;
    if ((typeUrl === xdsType.listener || typeUrl === xdsType.route) && this.#entries.get(xdsType.cluster)?.open && !this.#entries.get(xdsType.cluster)?.started) return;
    if (!entry.subscription.wildcard && entry.subscription.names.size === 0) return;
    entry.started = true;
    this.#request(this.#protocol.first(entry.subscription));
  }

  #startAll(first: Entry<Response>): void {
    this.#start(first);
    for (const entry of this.#entries.values()) this.#start(entry);
  }

  #request(request: Request): void {
    this.#requests.push(this.#nodeSent ? request : this.#protocol.withNode(request, this.#node));
    this.#nodeSent = !this.#nodeInEveryRequest;
  }

  /** Hands out the next response of a type when none is open. */
  #next(entry: Entry<Response>): void {
    if (entry.open) return;
    const response = entry.queue.shift();
    if (response === undefined) return;
    const reading = this.#protocol.read(entry.subscription, response);
    const ticket = ++this.#tickets;
    entry.open = { ticket, reading, stream: this.#stream };
    this.#updates.push({ ticket, typeUrl: entry.subscription.typeUrl, version: reading.version, added: reading.added, removed: reading.removed, ttls: reading.ttls });
  }

  #output(): ClientOutput<Request> {
    const output = { requests: this.#requests, updates: this.#updates };
    this.#requests = [];
    this.#updates = [];
    return output;
  }
}

/** A NACK's text is bounded, however much was refused. */
const maxErrorLength = 16_384;

function newEntry<Response>(typeUrl: string): Entry<Response> {
  const subscription = { typeUrl, wildcard: false, names: new Set<string>(), held: new Map<string, string>(), acceptedVersion: '', nonce: '' };
  return { subscription, started: false, open: undefined, queue: [] };
}

function listOf(names: Iterable<string> | '*'): string[] {
  return names === '*' ? ['*'] : [...new Set(names)];
}

function refusedOf(reading: Reading, verdict: Verdict): readonly RejectedResource[] {
  return verdict.kind === 'reject' ? [...reading.malformed, ...verdict.resources] : reading.malformed;
}

/** Good resources count even when others of the response are refused. */
function afterVerdict(before: ClientSubscription, reading: Reading, outcome: { verdict: Verdict; refused: readonly RejectedResource[] }): ClientSubscription {
  if (outcome.verdict.kind === 'reject-all') return before;
  const refusedNames = new Set(outcome.refused.map((resource) => resource.name));
  const held = new Map(before.held);
  for (const { name, version } of reading.added) if (!refusedNames.has(name) && (before.wildcard || before.names.has(name))) held.set(name, version);
  for (const name of reading.removed) held.delete(name);
  const acceptedVersion = outcome.verdict.kind === 'accept' && refusedNames.size === 0 ? reading.version : before.acceptedVersion;
  return { ...before, held, acceptedVersion };
}

function errorText(verdict: Verdict, refused: readonly RejectedResource[]): string | undefined {
  if (verdict.kind === 'reject-all') return verdict.reason;
  if (refused.length === 0) return verdict.kind === 'accept' ? undefined : 'refused without a reason';
  return refused.map(({ name, reason }) => `${name}: ${reason}`).join('; ').slice(0, maxErrorLength);
}

import type { FollowLook } from '@meltemi/api/gen/meltemi/config/v1/peers.ts';
import { ProxyLag_State, type ProxyLag } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { Clock } from '@meltemi/base';
import type { ConfigKey } from '@meltemi/config';
import type { ConfigCache } from './config-cache.ts';
import type { Discovery } from './discovery.ts';
import type { Client } from './discovery-types.ts';
import { distributionOf, proxyLag } from './distribution.ts';
import type { KnownObjects } from './registered-entries.ts';
import { refusersFirst } from './peers/merge-distribution.ts';

export interface FollowParts extends KnownObjects {
  readonly cache: Pick<ConfigCache, 'processed' | 'get'>;
  readonly discovery: Discovery;
  readonly clock: Clock;
}

export interface FollowAsk {
  /** Version of the store that must have arrived first; empty: none. */
  readonly storeVersion: string;
  /** What matters; none: everything in force. */
  readonly objects: readonly ConfigKey[];
  /** A refusal of any age counts, not only of what changed. */
  readonly any: boolean;
  /** Whether proxies that connect for the first time count, too: they may have been another pilot's. */
  readonly newcomers: () => boolean;
}

/** Most proxies named in one message … */
export const maxNamed = 100;
/** … and for each of several objects. */
const maxNamedPerObject = 10;

/** Most proxies named of each object of an answer. */
export function namedPerObject(objects: readonly unknown[]): number {
  return objects.length > 1 ? maxNamedPerObject : maxNamed;
}

/**
 * Looks at how far the proxies connected here are with a store version, or with objects, and again after each step of theirs; once more when the signal ends it.
 * Counted are the proxies connected at the start, and those that left so lately that they may be on their way back with older config; one that connects
 * later for the first time gets the newest config anyway and holds nobody up.
 */
export async function* followLocally(parts: FollowParts, ask: FollowAsk, signal: AbortSignal): AsyncGenerator<FollowLook> {
  const { cache, discovery } = parts;
  try {
    await cache.processed(ask.storeVersion, signal);
  } catch {
    yield pilotLags('this pilot has not seen the write yet', ProxyLag_State.LAGGING);
    return;
  }
  while (!discovery.context) {
    const progress = nextProgress(parts, signal);
    yield pilotLags('this pilot has not put its configuration together yet', ProxyLag_State.LAGGING);
    await progress.made;
    if (signal.aborted) return;
  }
  const revision = discovery.settle();
  if (revision === undefined) {
    yield pilotLags('the configuration could not be put together; what was in force stays. Pilot\'s log says why', ProxyLag_State.REFUSED);
    return;
  }
  const awaited = new Awaited(discovery, { revision, any: ask.any }, ask.newcomers);
  for (;;) {
    // Before the look: what a proxy answers while the reader takes its time with the message must not be slept through.
    const progress = nextProgress(parts, signal);
    try {
      const { affected, laggards, clients, away } = awaited.look();
      const objects = await distributionOf(parts, ask.objects, { maxNamed: namedPerObject(ask.objects), clients, away });
      yield {
        affected, following: affected - laggards.length, laggards: refusersFirst(laggards).slice(0, maxNamed), objects,
        judging: discovery.judging, started: awaited.started, refused: laggards.every(({ state }) => state === ProxyLag_State.REFUSED),
      };
      if (signal.aborted) return;
      await progress.made;
    } finally {
      progress.cancel();
    }
  }
}

interface Look {
  /** Proxies that matter, and pilot itself while it does not know all of them. */
  readonly affected: number;
  readonly laggards: ProxyLag[];
  readonly clients: readonly Client[];
  readonly away: readonly ProxyLag[];
}

/** Who must follow before a wait is over. */
class Awaited {
  readonly #discovery: Discovery;
  readonly #target: { readonly revision: number; readonly any: boolean };
  readonly #newcomers: () => boolean;
  readonly #names: Set<string>;

  constructor(discovery: Discovery, target: { revision: number; any: boolean }, newcomers: () => boolean) {
    this.#discovery = discovery;
    this.#target = target;
    this.#newcomers = newcomers;
    this.#names = new Set([...discovery.clients().map((client) => client.proxy.name), ...discovery.lately().names]);
  }

  /** True while anybody may be on the way back to a pilot that has just started. */
  get started(): boolean {
    return this.#discovery.lately().started;
  }

  look(): Look {
    const connected = new Map(this.#discovery.clients().map((client) => [client.proxy.name, client]));
    const lately = this.#discovery.lately();
    if (lately.started || this.#newcomers()) for (const name of connected.keys()) this.#names.add(name);
    const clients = [...this.#names].flatMap((name) => connected.get(name) ?? []);
    const away = [...this.#names].filter((name) => !connected.has(name) && lately.names.has(name)).map((proxyId) => ({ proxyId, state: ProxyLag_State.LAGGING, detail: 'lost its connection a moment ago and may come back' }));
    const laggards = [...clients.flatMap((client) => proxyLag(client, this.#target) ?? []), ...away];
    const affected = clients.length + away.length;
    if (!lately.started || laggards.length > 0) return { affected, laggards, clients, away };
    return { affected: affected + 1, laggards: [{ proxyId: 'pilot', state: ProxyLag_State.LAGGING, detail: 'has just started: proxies may still be on their way back to it' }], clients, away };
  }
}

function pilotLags(detail: string, state: ProxyLag_State): FollowLook {
  return { affected: 0, following: 0, laggards: [{ proxyId: 'pilot', state, detail }], objects: [], judging: false, started: false, refused: state === ProxyLag_State.REFUSED };
}

/** `made` resolves at the next step of any proxy, at the moment when one that left is given up, or when it is cancelled. */
function nextProgress({ discovery, clock }: FollowParts, signal: AbortSignal): { made: Promise<void>; cancel: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { untilMs } = discovery.lately();
  const stopTimer = untilMs === undefined ? () => {} : clock.after(Math.max(1, untilMs - clock.monotonic()), cancel);
  const stopListening = discovery.onProgress(cancel);
  function cancel(): void {
    stopListening();
    stopTimer();
    signal.removeEventListener('abort', cancel);
    // Many proxies answer in the same turn: they are told of together.
    setImmediate(resolve);
  }
  if (signal.aborted) cancel();
  else signal.addEventListener('abort', cancel, { once: true });
  return { made: promise, cancel };
}

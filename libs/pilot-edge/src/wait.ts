import { ProxyLag_State, type ProxyLag, type WaitProgress } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { Clock } from '@meltemi/base';
import type { ConfigKey } from '@meltemi/config';
import type { ConfigCache } from './config-cache.ts';
import type { Discovery } from './discovery.ts';
import type { Client } from './discovery-types.ts';
import { distributionOf, proxyLag } from './distribution.ts';
import { settledObjects, type ObjectsAsked } from './wait-objects.ts';

export interface WaitParts {
  readonly cache: Pick<ConfigCache, 'processed' | 'get'>;
  readonly discovery: Discovery;
  readonly clock: Clock;
}

export interface WaitAsk extends Partial<ObjectsAsked> {
  /** Version of the store that must have arrived first; empty: none. */
  readonly storeVersion: string;
  /** What matters; none: everything in force. */
  readonly objects?: readonly ConfigKey[];
}

/** Most proxies named in one message … */
const maxNamed = 100;
/** … and for each of several objects. */
const maxNamedPerObject = 10;

/**
 * Tells how far the proxies are with a store version, or with objects, until all follow, one refuses, or the signal ends it. The last message is `done`, has `timedOut`,
 * or names who refuses. Awaited are the proxies connected at the start, and those that left so lately that they may be on their way back with older config;
 * one that connects later for the first time gets the newest config anyway and holds nobody up. Without version and objects: everything in force now, where a refusal of any age counts.
 */
export async function* waitForRevision(parts: WaitParts, ask: WaitAsk, signal: AbortSignal): AsyncGenerator<WaitProgress> {
  const { cache, discovery } = parts;
  const objects = ask.objects ?? [];
  try {
    await cache.processed(ask.storeVersion, signal);
  } catch {
    yield pilotLags('this pilot has not seen the write yet', { timedOut: true });
    return;
  }
  const revision = discovery.settle();
  if (revision === undefined) {
    yield { ...pilotLags('the configuration could not be put together; what was in force stays. Pilot\'s log says why', { timedOut: false }) };
    return;
  }
  const awaited = new Awaited(discovery, { revision, any: ask.storeVersion === '' && objects.length === 0 });
  for (;;) {
    // Before the look: what a proxy answers while the reader takes its time with the message must not be slept through.
    const progress = nextProgress(parts, signal);
    try {
      const { affected, laggards, clients, away } = awaited.look();
      const looked = await distributionOf(parts, objects, { maxNamed: objects.length > 1 ? maxNamedPerObject : maxNamed, clients, away });
      const settled = settledObjects(parts, looked, ask);
      const done = objects.length > 0 ? settled === 'reached' && !awaited.started : laggards.length === 0;
      const hopeless = objects.length > 0 ? settled === 'hopeless' : laggards.every(({ state }) => state === ProxyLag_State.REFUSED);
      yield { done, affected, following: affected - laggards.length, laggards: laggards.slice(0, maxNamed), timedOut: signal.aborted && !done, objects: looked };
      if (done || signal.aborted || hopeless) return;
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
  readonly #names: Set<string>;

  constructor(discovery: Discovery, target: { revision: number; any: boolean }) {
    this.#discovery = discovery;
    this.#target = target;
    this.#names = new Set([...discovery.clients().map((client) => client.proxy.name), ...discovery.lately().names]);
  }

  /** True while anybody may be on the way back to a pilot that has just started. */
  get started(): boolean {
    return this.#discovery.lately().started;
  }

  look(): Look {
    const connected = new Map(this.#discovery.clients().map((client) => [client.proxy.name, client]));
    const lately = this.#discovery.lately();
    if (lately.started) for (const name of connected.keys()) this.#names.add(name);
    const clients = [...this.#names].flatMap((name) => connected.get(name) ?? []);
    const away = [...this.#names].filter((name) => !connected.has(name) && lately.names.has(name)).map((proxyId) => ({ proxyId, state: ProxyLag_State.LAGGING, detail: 'lost its connection a moment ago and may come back' }));
    const laggards = [...clients.flatMap((client) => proxyLag(client, this.#target) ?? []), ...away];
    const affected = clients.length + away.length;
    if (!lately.started || laggards.length > 0) return { affected, laggards, clients, away };
    return { affected: affected + 1, laggards: [{ proxyId: 'pilot', state: ProxyLag_State.LAGGING, detail: 'has just started: proxies may still be on their way back to it' }], clients, away };
  }
}

function pilotLags(detail: string, { timedOut }: { timedOut: boolean }): WaitProgress {
  return { done: false, affected: 0, following: 0, laggards: [{ proxyId: 'pilot', state: timedOut ? ProxyLag_State.LAGGING : ProxyLag_State.REFUSED, detail }], timedOut, objects: [] };
}

/** `made` resolves at the next step of any proxy, at the moment when one that left is given up, or when it is cancelled. */
function nextProgress({ discovery, clock }: WaitParts, signal: AbortSignal): { made: Promise<void>; cancel: () => void } {
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

import type { ProxyLag, WaitProgress } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { ProxyLag_State } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { Clock } from '@meltemi/base';
import { shortTypeName } from '@meltemi/xds';
import type { ConfigCache } from './config-cache.ts';
import type { Discovery } from './discovery.ts';
import type { Client } from './discovery-types.ts';

export interface WaitParts {
  readonly cache: Pick<ConfigCache, 'processed'>;
  readonly discovery: Discovery;
  readonly clock: Clock;
}

/** Most proxies named in one message. */
const maxNamed = 100;

/**
 * Tells how far the proxies are with a store version until all follow, one refuses, or the signal ends it. The last message is `done`, has `timedOut`,
 * or names who refuses. Awaited are the proxies connected at the start, and those that left so lately that they may be on their way back with older config;
 * one that connects later for the first time gets the newest config anyway and holds nobody up. Without a version: everything in force now, where a refusal of any age counts.
 */
export async function* waitForRevision(parts: WaitParts, storeVersion: string, signal: AbortSignal): AsyncGenerator<WaitProgress> {
  const { cache, discovery } = parts;
  try {
    await cache.processed(storeVersion, signal);
  } catch {
    yield pilotLags('this pilot has not seen the write yet', { timedOut: true });
    return;
  }
  const revision = discovery.settle();
  if (revision === undefined) {
    yield { ...pilotLags('the configuration could not be put together; what was in force stays. Pilot\'s log says why', { timedOut: false }) };
    return;
  }
  const awaited = new Awaited(discovery, { revision, any: storeVersion === '' });
  for (;;) {
    // Before the look: what a proxy answers while the reader takes its time with the message must not be slept through.
    const progress = nextProgress(parts, signal);
    try {
      const { affected, laggards } = awaited.look();
      const done = laggards.length === 0;
      yield { done, affected, following: affected - laggards.length, laggards: laggards.slice(0, maxNamed), timedOut: signal.aborted && !done };
      if (done || signal.aborted || laggards.every(({ state }) => state === ProxyLag_State.REFUSED)) return;
      await progress.made;
    } finally {
      progress.cancel();
    }
  }
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

  look(): { affected: number; laggards: ProxyLag[] } {
    const clients = new Map(this.#discovery.clients().map((client) => [client.proxy.name, client]));
    const lately = this.#discovery.lately();
    if (lately.started) for (const name of clients.keys()) this.#names.add(name);
    let affected = 0;
    const laggards: ProxyLag[] = [];
    for (const name of this.#names) {
      const client = clients.get(name);
      if (!client && !lately.names.has(name)) continue;
      affected += 1;
      const lag = client ? this.#lag(client) : { proxyId: name, state: ProxyLag_State.LAGGING, detail: 'lost its connection a moment ago and may come back' };
      if (lag) laggards.push(lag);
    }
    if (lately.started && laggards.length === 0) return { affected: affected + 1, laggards: [{ proxyId: 'pilot', state: ProxyLag_State.LAGGING, detail: 'has just started: proxies may still be on their way back to it' }] };
    return { affected, laggards };
  }

  /** What holds this proxy up: a refusal with its own words, else the types whose acknowledgement is awaited; undefined when it follows. */
  #lag(client: Client): ProxyLag | undefined {
    const { revision, any } = this.#target;
    const proxyId = client.proxy.name;
    const verdict = client.settlement.verdict(revision, { any });
    if (verdict.state === 'follows') return undefined;
    if (verdict.state === 'refuses') return { proxyId, state: ProxyLag_State.REFUSED, detail: verdict.reason };
    if (client.failure !== undefined) return { proxyId, state: ProxyLag_State.REFUSED, detail: `pilot could not translate the configuration for it: ${client.failure}` };
    const waiting = client.connection.status().filter((type) => type.state !== 'SYNCED').map((type) => shortTypeName(type.typeUrl));
    return { proxyId, state: ProxyLag_State.LAGGING, detail: waiting.length > 0 ? `has not acknowledged ${waiting.join(', ')}` : 'has not been sent everything yet' };
  }
}

function pilotLags(detail: string, { timedOut }: { timedOut: boolean }): WaitProgress {
  return { done: false, affected: 0, following: 0, laggards: [{ proxyId: 'pilot', state: timedOut ? ProxyLag_State.LAGGING : ProxyLag_State.REFUSED, detail }], timedOut };
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

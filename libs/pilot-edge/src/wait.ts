import { ProxyLag_State, type ObjectDistribution, type ProxyLag, type WaitProgress } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { FollowLook } from '@meltemi/api/gen/meltemi/config/v1/peers.ts';
import type { ConfigKey } from '@meltemi/config';
import type { ConfigCache } from './config-cache.ts';
import { followLocally, maxNamed, namedPerObject, type FollowParts } from './follow.ts';
import { mergeDistribution, refusersFirst } from './peers/merge-distribution.ts';
import { PeerFollow } from './peers/peer-follow.ts';
import type { PilotDirectory } from './peers/pilot-directory.ts';
import { settledObjects, type ObjectsAsked } from './wait-objects.ts';

export interface WaitParts extends FollowParts {
  readonly cache: Pick<ConfigCache, 'processed' | 'get'> & Partial<Pick<ConfigCache, 'writtenVersion'>>;
  /** The other pilots over the same store; left out: there are none. */
  readonly pilots?: PilotDirectory | undefined;
  /** What this pilot is called. */
  readonly node?: string;
}

export interface WaitAsk extends Partial<ObjectsAsked> {
  /** Version of the store that must have arrived first; empty: none. */
  readonly storeVersion: string;
  /** What matters; none: everything in force. */
  readonly objects?: readonly ConfigKey[];
}

/**
 * Tells how far the proxies of all pilots are with a store version, or with objects, until all follow, one refuses, or the signal ends it. The last message is
 * `done`, has `timedOut`, or names who refuses; a pilot that does not answer is named like a proxy that lags. Without version and objects: everything in force
 * now, where a refusal of any age counts.
 */
export async function* waitForRevision(parts: WaitParts, ask: WaitAsk, signal: AbortSignal): AsyncGenerator<WaitProgress> {
  const objects = ask.objects ?? [];
  const any = ask.storeVersion === '' && objects.length === 0;
  const changes = new Changes();
  // What was written last here must have arrived there, too.
  const peers = parts.pilots && new PeerFollow({ directory: parts.pilots, clock: parts.clock, onChange: () => changes.made(), request: { revision: ask.storeVersion || (parts.cache.writtenVersion ?? ''), objects: [...objects], any } });
  const ending = new AbortController();
  const own = new OwnLooks(followLocally(parts, { storeVersion: ask.storeVersion, objects, any, newcomers: () => peers?.newcomers ?? false }, AbortSignal.any([signal, ending.signal])), () => changes.made());
  try {
    for (;;) {
      await changes.next();
      const { last, ended, failure } = own;
      if (failure) throw failure.cause;
      // At the end of the time, too, the last look counts.
      if (!last || (signal.aborted && !ended)) continue;
      const progress = progressOf(parts, { own: last, peers, ask });
      yield { ...progress.told, timedOut: signal.aborted && !progress.told.done };
      if (progress.told.done || progress.hopeless || ended) return;
    }
  } finally {
    ending.abort();
    peers?.stop();
  }
}

/** Reads looks as they come: the last one counts. */
class OwnLooks {
  last: FollowLook | undefined;
  ended = false;
  failure: { readonly cause: unknown } | undefined;

  constructor(looks: AsyncIterable<FollowLook>, onLook: () => void) {
    const read = async (): Promise<void> => {
      for await (const look of looks) {
        this.last = look;
        onLook();
      }
    };
    const end = (): void => {
      this.ended = true;
      onLook();
    };
    read().then(end, (cause: unknown) => {
      this.failure = { cause };
      end();
    });
  }
}

/** Wakes one reader; what happens while it is busy is not slept through. */
class Changes {
  #pending = Promise.withResolvers<void>();

  made(): void {
    this.#pending.resolve();
  }

  async next(): Promise<void> {
    await this.#pending.promise;
    this.#pending = Promise.withResolvers();
  }
}

type Other = ReturnType<PeerFollow['looks']>[number];

interface Judged {
  readonly told: Omit<WaitProgress, 'timedOut'>;
  /** No proxy's answer can bring the rest there. */
  readonly hopeless: boolean;
}

function progressOf(parts: WaitParts, { own, peers, ask }: { own: FollowLook; peers: PeerFollow | undefined; ask: WaitAsk }): Judged {
  const asked = ask.objects ?? [];
  const others = peers?.looks() ?? [];
  const silent = others.filter(({ look }) => look.objects.length < asked.length);
  const away = [...(peers?.lags() ?? []), ...silent.flatMap(lagOfSilent)];
  const mute = peers?.mute() ?? [];
  const all = [own, ...others.map(({ look }) => look)];
  const laggards = refusersFirst([...own.laggards, ...others.flatMap(({ pilot, look }) => look.laggards.map((lag) => ofPilot(pilot, lag))), ...away, ...mute]);
  const objects = own.objects.length < asked.length ? [] : merged(own, { others, node: parts.node ?? '', named: namedPerObject(asked) });
  const started = all.some((look) => look.started);
  const settled = settledObjects(parts.cache, objects, { ...ask, judging: all.some(({ judging }) => judging) });
  const byObjects = asked.length > 0 && objects.length > 0;
  const known = byObjects ? settled === 'reached' && !started && away.length === 0 && silent.length === 0 : laggards.length === mute.length;
  const done = known && mute.length === 0;
  // Of pilots that cannot be asked nothing more will be known.
  const hopeless = known ? !done : byObjects ? (settled === 'hopeless' && peers?.pending !== true) || silent.some(refusesItself) : away.length === 0 && all.every(({ refused }) => refused);
  const sum = (count: (look: FollowLook) => number) => all.reduce((total, look) => total + count(look), 0);
  return { told: { done, affected: sum(({ affected }) => affected) + away.length + mute.length, following: sum(({ following }) => following), laggards: laggards.slice(0, maxNamed), objects }, hopeless };
}

/** What a pilot says of itself has no name yet. */
function ofPilot(pilot: string, lag: ProxyLag): ProxyLag {
  return lag.proxyId === 'pilot' ? { ...lag, proxyId: `pilot ${pilot}` } : lag;
}

/** A pilot that leaves objects out most often says why. */
function lagOfSilent({ pilot, look }: Other): ProxyLag[] {
  if (look.laggards.some(({ proxyId }) => proxyId === 'pilot')) return [];
  return [{ proxyId: `pilot ${pilot}`, state: ProxyLag_State.LAGGING, detail: 'has not said how far these objects are at its proxies' }];
}

function refusesItself({ look }: Other): boolean {
  return look.laggards.some(({ proxyId, state }) => proxyId === 'pilot' && state === ProxyLag_State.REFUSED);
}

function merged(own: FollowLook, { others, node, named }: { others: readonly Other[]; node: string; named: number }): ObjectDistribution[] {
  return own.objects.map((object, at) => mergeDistribution({ pilot: node, object }, others.flatMap(({ pilot, look }) => {
    const theirs = look.objects[at];
    return theirs ? [{ pilot, object: theirs }] : [];
  }), named));
}

import { ObjectDistribution_State, type ObjectDistribution } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import type { ConfigCache } from './config-cache.ts';

/** Where objects should be. */
export interface ObjectsAsked {
  /** Gone from every proxy. */
  readonly removed: boolean;
  /** Share of the proxies that is enough; 0: all of them. */
  readonly threshold: number;
  /** metadata.generation, or the resource version where there is none; empty: the newest. */
  readonly generation: string;
}

type Settled = 'reached' | 'hopeless' | 'waiting';

/** 'reached' when every object is where it should be, 'hopeless' when no proxy's answer can bring the rest there. */
export function settledObjects(cache: Pick<ConfigCache, 'get'>, objects: readonly ObjectDistribution[], asked: Partial<ObjectsAsked> & { readonly judging: boolean }): Settled {
  const states = objects.map((object) => settledObject(cache, object, asked));
  if (states.every((state) => state === 'reached')) return 'reached';
  return states.includes('waiting') ? 'waiting' : 'hopeless';
}

function settledObject(cache: Pick<ConfigCache, 'get'>, object: ObjectDistribution, { removed = false, threshold = 0, generation = '', judging }: Partial<ObjectsAsked> & { readonly judging: boolean }): Settled {
  const { ABSENT, IN_FORCE, SET_ASIDE } = ObjectDistribution_State;
  const enough = Math.ceil(object.proxies * (threshold > 0 && threshold < 1 ? threshold : 1) - 1e-9);
  if (removed) return object.state === ABSENT && object.following >= enough ? 'reached' : 'waiting';
  if (object.state === ABSENT) return 'hopeless';
  if (generation !== '' && !hasGeneration(cache, object, generation)) return 'waiting';
  if (object.state === IN_FORCE && object.following >= enough) return 'reached';
  // Whom a refusal is about may still come out.
  if (judging) return 'waiting';
  if (object.state === SET_ASIDE) return 'hopeless';
  return object.state === IN_FORCE && object.following + object.lagging < enough ? 'hopeless' : 'waiting';
}

function hasGeneration(cache: Pick<ConfigCache, 'get'>, { key, resourceVersion }: ObjectDistribution, wanted: string): boolean {
  const content = key && cache.get(key)?.raw.content;
  const { generation } = (content?.['metadata'] ?? {}) as { generation?: unknown };
  if (typeof generation !== 'number') return resourceVersion === wanted;
  return Number.isInteger(Number(wanted)) && generation >= Number(wanted);
}

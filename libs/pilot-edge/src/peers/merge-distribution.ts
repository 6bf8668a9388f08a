import { ObjectDistribution_State, ProxyLag_State, type ObjectDistribution, type ProxyLag } from '@meltemi/api/gen/meltemi/config/v1/config.ts';

/** What one pilot says of an object, and what that pilot is called. */
export interface PilotsObject {
  readonly pilot: string;
  readonly object: ObjectDistribution;
}

const { ABSENT, IN_FORCE, ON_TRIAL, PENDING, SET_ASIDE } = ObjectDistribution_State;

/** The least good first: of pilots that differ the worst counts. */
const worstFirst = [SET_ASIDE, ON_TRIAL, PENDING, IN_FORCE, ABSENT];

/** One object among the proxies of all pilots. Those of a pilot that knows no such object, or another version of it, lag. */
export function mergeDistribution(own: PilotsObject, others: readonly PilotsObject[], maxNamed: number): ObjectDistribution {
  if (others.length === 0) return own.object;
  const all = [own, ...others];
  const state = worstFirst.find((each) => all.some(({ object }) => object.state === each)) ?? own.object.state;
  const version = own.object.resourceVersion || (others.find(({ object }) => object.resourceVersion !== '')?.object.resourceVersion ?? '');
  const parts = all.map((each) => caughtUp(each, state, version));
  const laggards = parts.flatMap((part) => part.laggards);
  const sum = (count: (object: ObjectDistribution) => number) => parts.reduce((total, part) => total + count(part), 0);
  return {
    key: own.object.key, state, resourceVersion: version,
    reasons: [...new Map(parts.flatMap(({ reasons }) => reasons).map((reason) => [`${reason.path}\n${reason.message}`, reason])).values()],
    lastGoodInForce: parts.some(({ lastGoodInForce }) => lastGoodInForce),
    proxies: sum(({ proxies }) => proxies), following: sum(({ following }) => following), notConcerned: sum(({ notConcerned }) => notConcerned),
    refusing: sum(({ refusing }) => refusing), lagging: sum(({ lagging }) => lagging),
    laggards: refusersFirst(laggards).slice(0, maxNamed), followers: parts.flatMap(({ followers }) => followers).slice(0, maxNamed),
  };
}

/** Those that refuse, then those that lag. */
export function refusersFirst(laggards: readonly ProxyLag[]): ProxyLag[] {
  return [...laggards.filter(({ state }) => state === ProxyLag_State.REFUSED), ...laggards.filter(({ state }) => state === ProxyLag_State.LAGGING)];
}

function caughtUp({ pilot, object }: PilotsObject, state: ObjectDistribution_State, version: string): ObjectDistribution {
  const missing = object.state === ABSENT && state !== ABSENT ? 'does not know the object' : object.resourceVersion !== '' && version !== '' && object.resourceVersion !== version ? 'has another version of it' : undefined;
  if (missing === undefined) return object;
  const lag: ProxyLag = { proxyId: `pilot ${pilot}`, state: ProxyLag_State.LAGGING, detail: `${missing} (yet), and ${object.proxies} ${object.proxies === 1 ? 'proxy is' : 'proxies are'} connected to it` };
  return { ...object, following: 0, notConcerned: 0, refusing: 0, lagging: object.proxies, laggards: object.proxies > 0 ? [lag] : [], followers: [] };
}

import { setImmediate as nextTurn } from 'node:timers/promises';
import { ObjectDistribution_State, ProxyLag_State, type ObjectDistribution, type ProxyLag } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { keyText, type Config, type ConfigKey } from '@meltemi/config';
import { mayConcern, patchesSetAside } from '@meltemi/pilot';
import { shortTypeName, type RefusedResource } from '@meltemi/xds';
import type { CacheEntry } from './config-cache.ts';
import type { Discovery } from './discovery.ts';
import type { Client } from './discovery-types.ts';
import { entryOf, type KnownObjects } from './registered-entries.ts';

export interface DistributionParts extends KnownObjects {
  readonly discovery: Discovery;
}

export interface DistributionOptions {
  /** Most proxies named in each list. */
  readonly maxNamed: number;
  /** Who counts; default: every connected proxy. */
  readonly clients?: readonly Client[];
  /** Proxies that count though they are away at the moment. */
  readonly away?: readonly ProxyLag[];
}

/** Contexts built for one answer to tell whether a refused resource shows an object; beyond them it is taken to. */
const maxLookedInto = 8;
/** Pairs of object and proxy looked at before others get a turn. */
const pairsPerTurn = 20_000;

/** How far each object is among the proxies. What a proxy acknowledged last decides: nothing is asked of proxies, and nothing kept per object and proxy. */
export async function distributionOf(parts: DistributionParts, keys: readonly ConfigKey[], options: DistributionOptions): Promise<ObjectDistribution[]> {
  const answer: ObjectDistribution[] = [];
  const budget = { looks: maxLookedInto };
  let pairs = 0;
  for (const key of keys) {
    answer.push(one(parts, key, { ...options, budget }));
    pairs += parts.discovery.clients().length;
    if (pairs < pairsPerTurn) continue;
    pairs = 0;
    await nextTurn();
  }
  return answer;
}

type Where = Pick<ObjectDistribution, 'state' | 'reasons' | 'lastGoodInForce'>;

function one(parts: DistributionParts, key: ConfigKey, { maxNamed, clients = parts.discovery.clients(), away = [], budget }: DistributionOptions & { readonly budget: { looks: number } }): ObjectDistribution {
  const { discovery } = parts;
  const entry = entryOf(parts, key);
  const where = whereIs(discovery, key, entry);
  const revision = Math.max(1, discovery.objects.since(keyText(key)));
  const laggards: ProxyLag[] = [];
  const followers: string[] = [];
  let [following, notConcerned] = [0, 0];
  for (const client of clients) {
    const concerned = !client.quiet.has(revision) && (!entry?.config || !discovery.context || mayConcern(entry.config, client.proxy, discovery.context));
    const lag = lagOf(discovery, client, { revision, where, concerned, text: keyText(key), entry, budget });
    if (lag) {
      laggards.push(lag);
      continue;
    }
    following += 1;
    if (!concerned) notConcerned += 1;
    else if (followers.length < maxNamed) followers.push(client.proxy.name);
  }
  laggards.push(...away);
  const refusing = laggards.filter(({ state }) => state === ProxyLag_State.REFUSED);
  const lagging = laggards.filter(({ state }) => state === ProxyLag_State.LAGGING);
  return {
    key, ...where, resourceVersion: entry?.origin.resourceVersion ?? '', proxies: clients.length + away.length, following, notConcerned, refusing: refusing.length, lagging: lagging.length,
    laggards: [...refusing, ...lagging].slice(0, maxNamed), followers,
  };
}

function whereIs(discovery: Discovery, key: ConfigKey, entry: CacheEntry | undefined): Where {
  const { ABSENT, IN_FORCE, ON_TRIAL, PENDING, SET_ASIDE } = ObjectDistribution_State;
  const text = keyText(key);
  if (!entry) return { state: discovery.objects.pending(text) ? PENDING : ABSENT, reasons: [], lastGoodInForce: false };
  if (entry.errors.length > 0) return { state: SET_ASIDE, reasons: [...entry.errors], lastGoodInForce: entry.config !== undefined };
  const aside = discovery.setAside.find((each) => keyText(each.key) === text);
  if (discovery.refusals.onTrial(text)) return { state: ON_TRIAL, reasons: [...(aside?.errors ?? [])], lastGoodInForce: aside?.lastGoodInForce ?? false };
  if (discovery.objects.pending(text)) return { state: PENDING, reasons: [], lastGoodInForce: false };
  if (aside) return { state: SET_ASIDE, reasons: [...aside.errors], lastGoodInForce: aside.lastGoodInForce };
  const patches = key.kind === 'EnvoyFilter' && discovery.context ? patchesSetAside(discovery.context).filter((each) => keyText(each.key) === text) : [];
  return { state: IN_FORCE, reasons: patches.flatMap(({ errors }) => [...errors]), lastGoodInForce: false };
}

interface Looked {
  readonly revision: number;
  readonly where: Where;
  readonly concerned: boolean;
  readonly text: string;
  readonly entry: CacheEntry | undefined;
  readonly budget: { looks: number };
}

/** What keeps this proxy from having the newest version; undefined: it has it, or has nothing to do with it and took all that came since. */
function lagOf(discovery: Discovery, client: Client, { revision, where, concerned, text, entry, budget }: Looked): ProxyLag | undefined {
  const proxyId = client.proxy.name;
  const lags = (detail: string): ProxyLag => ({ proxyId, state: ProxyLag_State.LAGGING, detail });
  const { PENDING, ON_TRIAL, SET_ASIDE } = ObjectDistribution_State;
  if (where.state === SET_ASIDE || where.state === ON_TRIAL) {
    const refuser = entry?.config && refuserOf(discovery, entry.config, proxyId);
    return refuser ? { proxyId, state: ProxyLag_State.REFUSED, detail: refuser } : lags(where.state === SET_ASIDE ? 'is not sent what is set aside' : 'is not sent it yet');
  }
  if (where.state === PENDING) return lags('has not been sent it yet');
  const about = (refused: RefusedResource) => concerned && (budget.looks-- <= 0 || discovery.shows(client, text, refused));
  return proxyLag(client, { revision, about });
}

function refuserOf(discovery: Discovery, config: Config, proxyId: string): string | undefined {
  return discovery.refusals.refusedBy(config).find(({ proxyName }) => proxyName === proxyId)?.reason;
}

/** What holds a proxy up with a revision: a refusal with its own words, else the types whose acknowledgement is awaited; undefined when it follows. */
export function proxyLag(client: Client, { revision, any = false, about }: { revision: number; any?: boolean; about?: (refused: RefusedResource) => boolean }): ProxyLag | undefined {
  const proxyId = client.proxy.name;
  const verdict = client.settlement.verdict(revision, { any, ...(about ? { about } : {}) });
  if (verdict.state === 'follows') return undefined;
  if (verdict.state === 'refuses') return { proxyId, state: ProxyLag_State.REFUSED, detail: verdict.reason };
  if (client.failure !== undefined) return { proxyId, state: ProxyLag_State.REFUSED, detail: `pilot could not translate the configuration for it: ${client.failure}` };
  const waiting = client.connection.status().filter((type) => type.state !== 'SYNCED').map((type) => shortTypeName(type.typeUrl));
  return { proxyId, state: ProxyLag_State.LAGGING, detail: waiting.length > 0 ? `has not acknowledged ${waiting.join(', ')}` : 'has not been sent everything yet' };
}

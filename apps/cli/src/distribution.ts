import { ObjectDistribution_State, ProxyLag_State, type ObjectDistribution, type ObjectKey, type PilotState, type ProxyLag } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { call, type PilotClient } from './pilot-client.ts';

/** What pilot takes in one request. */
const maxKeys = 1000;

/** How far these objects are among the proxies, in their order; `missing` says whose proxies are not counted. */
export async function distributionsOf(client: PilotClient, keys: readonly ObjectKey[], maxNamed: number): Promise<{ readonly objects: readonly ObjectDistribution[]; readonly missing: readonly string[] }> {
  const found: ObjectDistribution[] = [];
  const missing = new Set<string>();
  for (let from = 0; from < keys.length; from += maxKeys) {
    const { objects, pilots } = await call(client.status.distribution.bind(client.status), { keys: keys.slice(from, from + maxKeys), maxNamed });
    found.push(...objects);
    for (const line of missingPilots(pilots)) missing.add(line);
  }
  return { objects: found, missing: [...missing] };
}

/** A line for each pilot whose proxies are missing in an answer; first, that the answer is of one pilot only, where it is. */
export function missingPilots(pilots: readonly PilotState[]): string[] {
  const missing = pilots.filter(({ error }) => error !== '').map(({ pilot, address, error }) => `pilot ${pilot} ${address === '' ? 'cannot be asked' : `at ${address} does not answer`}, its proxies are missing here: ${error}`);
  const [asked] = pilots;
  return asked && missing.length > 0 && missing.length === pilots.length - 1 ? [`this is what pilot ${asked.pilot} alone knows, of ${pilots.length} pilots over its store`, ...missing] : missing;
}

/** What is told of pilots among proxies that lag: pilots' names are "pilot NAME", or "pilot" for the one that was asked. */
export function pilotLines(laggards: readonly ProxyLag[]): string[] {
  return laggards.filter(({ proxyId }) => proxyId === 'pilot' || proxyId.startsWith('pilot ')).map(lagLine);
}

/** "VirtualService default/reviews". */
export function objectText(key: ObjectKey | undefined): string {
  return key ? `${key.kind} ${key.namespace === '' ? '' : `${key.namespace}/`}${key.name}` : 'object';
}

/** "2/3 (1 refuses)": who has it, of how many. */
export function sharesText({ following, proxies, refusing, notConcerned }: ObjectDistribution): string {
  const notes = [...(refusing > 0 ? [`${refusing} ${refusing === 1 ? 'refuses' : 'refuse'}`] : []), ...(notConcerned > 0 ? [`${notConcerned} not concerned`] : [])];
  return `${following}/${proxies}${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`;
}

/** What keeps an object from being everywhere: one line that says how far it is, then one for each reason and each proxy that was named. */
export function holdUpLines(object: ObjectDistribution): string[] {
  const { ABSENT, IN_FORCE, ON_TRIAL, SET_ASIDE } = ObjectDistribution_State;
  const name = objectText(object.key);
  const reasons = object.reasons.map(({ path, message }) => `  ${path === '' ? '' : `${path}: `}${message}`);
  const unnamed = object.refusing + object.lagging - object.laggards.length;
  const proxies = [...object.laggards.map((lag) => `  ${lagLine(lag)}`), ...(unnamed > 0 ? [`  … and ${unnamed} more`] : [])];
  const refusers = object.laggards.filter(({ state }) => state === ProxyLag_State.REFUSED).map((lag) => `  ${lagLine(lag)}`);
  const before = object.lastGoodInForce ? '; its last good version stays in force' : '';
  switch (object.state) {
    case ABSENT: return object.following < object.proxies ? [`${name} is gone, and ${object.following} of ${object.proxies} proxies know`, ...proxies] : [`${name} does not exist`];
    case SET_ASIDE: return [`${name} is set aside${before}`, ...(refusers.length > 0 ? refusers : reasons)];
    case ON_TRIAL: return [`${name} is held back${before}`, ...reasons];
    case IN_FORCE: return [`${name} is at ${object.following} of ${object.proxies} proxies`, ...reasons, ...proxies];
    default: return [`${name} is not sent to proxies yet`];
  }
}

/** "reviews-v1-0.default refuses: RDS 9080: …". */
export function lagLine({ proxyId, state, detail }: ProxyLag): string {
  return `${proxyId} ${state === ProxyLag_State.REFUSED ? 'refuses' : 'lags'}: ${detail}`;
}

/** For -o yaml and -o json. */
export function distributionJson({ proxies, following, notConcerned, refusing, lagging, laggards, followers }: ObjectDistribution): unknown {
  return {
    proxies, following, notConcerned, refusing, lagging, followers,
    ...(laggards.length > 0 ? { laggards: laggards.map(({ proxyId, state, detail }) => ({ proxy: proxyId, state: state === ProxyLag_State.REFUSED ? 'refuses' : 'lags', detail })) } : {}),
  };
}

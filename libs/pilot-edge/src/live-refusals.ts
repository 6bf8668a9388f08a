import type { FieldError } from '@meltemi/base';
import { keyText, type Config, type ConfigKey } from '@meltemi/config';
import { contributors, objectName, type CheckedContext, type Proxy, type PushContext } from '@meltemi/pilot';
import { shortTypeName, type Refusal, type ResourceSet } from '@meltemi/xds';

/** What is remembered of objects' versions, across restarts. */
export interface VersionMemory {
  /** The version that proxies took last. */
  lastGood(key: ConfigKey): Config | undefined;
  /** These versions are in force and every proxy that answers takes them. */
  confirm(inForce: ReadonlyMap<string, Config>): void;
  /** A live proxy would not take this version. */
  refuse(config: Config, errors: readonly FieldError[]): void;
  /** Newest versions that a live proxy would not take: key text → why. */
  refused(): ReadonlyMap<string, readonly FieldError[]>;
}

/** One NACK, with what the proxy took before and what it was given. */
export interface LiveRefusal {
  readonly proxy: Proxy;
  readonly typeUrl: string;
  readonly refusal: Refusal;
  readonly before: CheckedContext;
  readonly after: CheckedContext;
  /** The newest revision there is. */
  readonly revision: number;
  readonly build: (configs: readonly Config[]) => PushContext;
  readonly translate: (push: PushContext, names: readonly string[]) => ResourceSet;
}

/** Objects held back while one of them is to blame: the one tried now is let in, and the proxy says whether it was that one. */
interface Trial {
  readonly proxyName: string;
  readonly why: readonly FieldError[];
  readonly waiting: Map<string, Config>;
  /** The proxy's word counts for revisions after this one. */
  since: number;
}

/** Most objects held back at once; of more, only the newest can be told apart in reasonable time. */
const maxOnTrial = 50;

/**
 * Turns a refusal by a live proxy into the one object to blame. When the refused resource shows one change only, that is it. When it shows several, all are put
 * back at once, so that traffic is as before, and let in again one by one: the proxy refuses the right one.
 */
export class LiveRefusals {
  readonly #memory: VersionMemory;
  readonly #judged = new Set<string>();
  #trial: Trial | undefined;

  constructor(memory: VersionMemory) {
    this.#memory = memory;
  }

  /** What is not to be in force: refused for good, or on trial. */
  barred(newest: (text: string) => Config | undefined): ReadonlyMap<string, readonly FieldError[]> {
    const barred = new Map(this.#memory.refused());
    for (const [text, config] of this.#trial?.waiting ?? []) {
      if (newest(text) === config) barred.set(text, this.#trial?.why ?? []);
      else this.#trial?.waiting.delete(text);
    }
    return barred;
  }

  /** Takes a refusal; who is to blame, and undefined when no object can be found or it is known already. A context must be built then. */
  take({ proxy, typeUrl, refusal, before, after, revision, build, translate }: LiveRefusal): readonly string[] | undefined {
    const names = refusal.resources;
    const judging = `${typeUrl}\0${refusal.version}\0${names.join('\0')}`;
    if (before === after || this.#judged.has(judging)) return undefined;
    if (this.#judged.size > 1000) this.#judged.clear();
    this.#judged.add(judging);
    const shown = contributors({ before, after, build, translate: (push) => [translate(push, names)], refused: new Set(names) });
    const known = this.#memory.refused();
    const blamed = shown.filter((text) => !known.has(text)).flatMap((text) => after.inForce.get(text) ?? []).slice(-maxOnTrial);
    if (blamed.length === 0 || (blamed.length > 1 && blamed.every((config) => this.#trial?.waiting.get(keyText(config.key)) === config))) return undefined;
    const what = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
    const why = [{ path: '', message: `${proxy.name} refused its configuration (${shortTypeName(typeUrl)} ${what}): ${refusal.message}` }];
    const [only] = blamed;
    if (blamed.length === 1 && only) this.#memory.refuse(only, why);
    else this.#trial = { proxyName: proxy.name, why: [{ path: '', message: `held back with ${blamed.length - 1} others while it is found out which of them ${why[0]?.message ?? ''}` }], waiting: new Map(blamed.map((config) => [keyText(config.key), config])), since: revision };
    return blamed.map(({ key }) => objectName(keyText(key)));
  }

  /** A proxy took everything, or is gone: the next object on trial because of it is let in. True when there was one. */
  release(proxyName: string, settled: { readonly revision: number; readonly newest: number } | 'gone'): boolean {
    const trial = this.#trial;
    if (trial?.proxyName !== proxyName || (settled !== 'gone' && settled.revision <= trial.since)) return false;
    const [next] = trial.waiting.keys();
    if (next === undefined || settled === 'gone') this.#trial = undefined;
    else {
      trial.waiting.delete(next);
      trial.since = settled.newest;
    }
    return next !== undefined;
  }
}

import type { FieldError } from '@meltemi/base';
import { keyText, type Config, type ConfigKey } from '@meltemi/config';
import { contributors, objectName, type CheckedContext, type Proxy, type PushContext } from '@meltemi/pilot';
import { shortTypeName, type Refusal, type ResourceSet } from '@meltemi/xds';

/** What is remembered of objects' versions, across restarts. */
export interface VersionMemory {
  /** The version that proxies took last, before the newest. */
  lastGood(key: ConfigKey): Config | undefined;
  /** These versions are in force and every proxy that answers takes them. `asked` false: there is none, and a version is only taken where nothing better is known. */
  confirm(inForce: ReadonlyMap<string, Config>, options: { readonly asked: boolean }): void;
  /** Versions in force that nobody is known to have taken: key text → the one taken last, if any. Empty when nothing at all is known. */
  unproven(): ReadonlyMap<string, Config | undefined>;
  /** A live proxy would not take this version. */
  refuse(config: Config, errors: readonly FieldError[]): void;
  /** Newest versions that a live proxy would not take: key text → why. */
  refused(): ReadonlyMap<string, readonly FieldError[]>;
}

/** Remembers nothing. */
export const noMemory: VersionMemory = { lastGood: () => undefined, confirm: () => undefined, unproven: () => new Map(), refuse: () => undefined, refused: () => new Map() };

/** One NACK, with what the proxy took before and what it was given. */
export interface LiveRefusal {
  readonly proxy: Proxy;
  readonly typeUrl: string;
  readonly refusal: Refusal;
  readonly before: Pick<CheckedContext, 'inForce'>;
  readonly after: CheckedContext;
  /** The newest revision there is. */
  readonly revision: number;
  readonly build: (configs: readonly Config[]) => PushContext;
  readonly translate: (push: PushContext, names: readonly string[]) => ResourceSet;
}

/** A proxy that would not take a version, in its own words. */
export interface Refuser {
  readonly proxyName: string;
  readonly reason: string;
}

/** Objects held back while one of them is to blame: the one tried now is let in, and the proxy says whether it was that one. */
interface Trial {
  readonly why: readonly FieldError[];
  readonly waiting: Map<string, Config>;
  tried: string | undefined;
  /** The proxy's word counts for revisions after this one. */
  since: number;
  /** Proxies that refuse the same: one of them is asked when this one leaves. */
  readonly witnesses: Set<string>;
}

/** Most objects held back at once because of one proxy; of more, only the newest can be told apart in reasonable time. */
const maxOnTrial = 50;
/** Proxies whose refusals are looked into at once; of others the resource stays refused until something changes. */
const maxTrials = 16;
/** Of what a proxy says of a refusal: it is kept in the store. */
const maxReasonChars = 4096;
/** Proxies remembered for one version, or for one trial. */
const maxRefusers = 8;

/**
 * Turns a refusal by a live proxy into the one object to blame. When the refused resource shows one change only, that is it. When it shows several, all are put
 * back at once, so that traffic is as before, and let in again one by one: the proxy refuses the right one.
 */
export class LiveRefusals {
  readonly #memory: VersionMemory;
  /** What refused resources of a context show: many proxies refuse the same, and another context is another matter. */
  readonly #shown = new WeakMap<CheckedContext, Map<string, readonly string[]>>();
  readonly #refusers = new WeakMap<Config, readonly Refuser[]>();
  /** By the proxy whose word is awaited. */
  readonly #trials = new Map<string, Trial>();

  constructor(memory: VersionMemory) {
    this.#memory = memory;
  }

  /** What is not to be in force: refused for good, or on trial. */
  barred(newest: (text: string) => Config | undefined): ReadonlyMap<string, readonly FieldError[]> {
    const barred = new Map(this.#memory.refused());
    for (const { waiting, why } of this.#trials.values()) {
      for (const [text, config] of waiting) {
        if (newest(text) === config) barred.set(text, why);
        else waiting.delete(text);
      }
    }
    return barred;
  }

  /** True while objects are held back. */
  get trying(): boolean {
    return this.#trials.size > 0;
  }

  /** True while this object is held back, or is the one let in to be tried. */
  onTrial(text: string): boolean {
    return [...this.#trials.values()].some(({ waiting, tried }) => tried === text || waiting.has(text));
  }

  /** Who refused this version since we started. */
  refusedBy(config: Config): readonly Refuser[] {
    return this.#refusers.get(config) ?? [];
  }

  /** Takes a refusal; who is to blame, and undefined when no object can be found or it is known already. A context must be built then. */
  take({ proxy, typeUrl, refusal, before, after, revision, build, translate }: LiveRefusal): readonly string[] | undefined {
    const names = refusal.resources;
    if (before === after) return undefined;
    const shown = this.#once(after, `${typeUrl}\0${refusal.version}\0${names.join('\0')}`, () => contributors({ before, after, build, translate: (push) => [translate(push, names)], refused: new Set(names) }));
    this.#witness(proxy.name, shown);
    const known = this.#memory.refused();
    const blamed = shown.filter((text) => !known.has(text) && !this.#isHeldBack(text)).flatMap((text) => after.inForce.get(text) ?? []).slice(-maxOnTrial);
    if (blamed.length === 0) return undefined;
    const what = names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ');
    const message = refusal.message.slice(0, maxReasonChars);
    const reason = `${proxy.name} refused its configuration (${shortTypeName(typeUrl)} ${what}): ${message}`;
    const [only] = blamed;
    if (blamed.length === 1 && only) {
      this.#memory.refuse(only, [{ path: '', message: reason }]);
      this.#refusers.set(only, [...this.refusedBy(only), { proxyName: proxy.name, reason: `${shortTypeName(typeUrl)} ${what}: ${message}` }].slice(-maxRefusers));
    } else if (!this.#hold(proxy.name, { blamed, reason, since: revision })) return undefined;
    return blamed.map(({ key }) => objectName(keyText(key)));
  }

  /** A proxy took everything, or is gone: the next object on trial because of it is let in. True when there was one. */
  release(proxyName: string, settled: { readonly revision: number; readonly newest: number } | 'gone'): boolean {
    const trial = this.#trials.get(proxyName);
    if (settled === 'gone') for (const { witnesses } of this.#trials.values()) witnesses.delete(proxyName);
    if (!trial || (settled !== 'gone' && settled.revision <= trial.since)) return false;
    if (settled === 'gone' && this.#handOver(proxyName, trial)) return false;
    const [next] = trial.waiting.keys();
    if (next === undefined || settled === 'gone') this.#trials.delete(proxyName);
    else {
      trial.waiting.delete(next);
      trial.tried = next;
      trial.since = settled.newest;
    }
    return next !== undefined;
  }

  #once(context: CheckedContext, judging: string, find: () => readonly string[]): readonly string[] {
    const found = this.#shown.get(context) ?? new Map<string, readonly string[]>();
    this.#shown.set(context, found);
    const shown = found.get(judging) ?? find();
    found.set(judging, shown);
    return shown;
  }

  #witness(proxyName: string, shown: readonly string[]): void {
    for (const [asked, { waiting, witnesses }] of this.#trials) if (asked !== proxyName && witnesses.size < maxRefusers && shown.some((text) => waiting.has(text))) witnesses.add(proxyName);
  }

  /** The proxy that is asked leaves: another that refuses the same is asked from now on. */
  #handOver(proxyName: string, trial: Trial): boolean {
    const witness = [...trial.witnesses].find((name) => !this.#trials.has(name));
    if (witness === undefined) return false;
    trial.witnesses.delete(witness);
    this.#trials.delete(proxyName);
    this.#trials.set(witness, trial);
    return true;
  }

  #isHeldBack(text: string): boolean {
    return [...this.#trials.values()].some(({ waiting }) => waiting.has(text));
  }

  /** False when too many proxies' refusals are looked into already. */
  #hold(proxyName: string, { blamed, reason, since }: { blamed: readonly Config[]; reason: string; since: number }): boolean {
    const running = this.#trials.get(proxyName);
    if (!running && this.#trials.size >= maxTrials) return false;
    const why = [{ path: '', message: `held back with ${blamed.length - 1} others while it is found out which of them ${reason}` }];
    const waiting = new Map(blamed.map((config) => [keyText(config.key), config]));
    this.#trials.set(proxyName, { why, waiting: new Map([...waiting, ...(running?.waiting ?? [])]), tried: undefined, since, witnesses: running?.witnesses ?? new Set() });
    return true;
  }
}

/** What a proxy that has answered nothing yet may be taken to have had: everything but versions that nobody is known to have taken. Undefined: too little is known. */
export function provenPart(memory: VersionMemory, { inForce }: CheckedContext): Pick<CheckedContext, 'inForce'> | undefined {
  const unproven = memory.unproven();
  if (unproven.size === 0 || unproven.size > maxOnTrial) return undefined;
  const proven = new Map(inForce);
  for (const [text, lastGood] of unproven) {
    if (lastGood) proven.set(text, lastGood);
    else proven.delete(text);
  }
  return { inForce: proven };
}

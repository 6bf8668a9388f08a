import type { FieldError } from '@meltemi/base';
import { keyText, type Config, type ConfigKey } from '@meltemi/config';
import type { Extensions } from '@meltemi/snapshot';
import { shortTypeName } from '@meltemi/xds';
import type { Proxy } from '../proxy/proxy.ts';
import { buildPushContext, type PushContext, type PushContextOptions } from '../push-context/push-context.ts';
import { textOf } from '../push-context/key-order.ts';
import { byAge } from '../push-context/virtual-services.ts';
import { anyExtension } from './any-extension.ts';
import { findCulprits } from './culprits.ts';
import { refusals, refusedFor, type RefusedByProxy } from './refusals.ts';
import { representatives } from './representatives.ts';

/** An object that is not in force, and why. */
export interface SetAside {
  readonly key: ConfigKey;
  /** The version that is set aside. */
  readonly config: Config;
  readonly errors: readonly FieldError[];
  /** An earlier version of it stays in force. */
  readonly lastGoodInForce: boolean;
  /** A live proxy's word alone keeps it out: when that is taken back, it is in force again. */
  readonly refusedLive: boolean;
}

/** A push context that every proxy takes, and what had to be left out for that. */
export interface CheckedContext {
  readonly push: PushContext;
  readonly setAside: readonly SetAside[];
  /** What would still be refused, when no object could be found to blame: MeshConfig, say. */
  readonly stillRefused: readonly RefusedByProxy[];
  /** What is in force, by key text. */
  readonly inForce: ReadonlyMap<string, Config>;
}

export interface CheckOptions extends Omit<PushContextOptions, 'previous'> {
  readonly previous?: CheckedContext | undefined;
  /** The version of an object that was good before, when there was one. */
  readonly lastGood?: (key: ConfigKey) => Config | undefined;
  /** Proxies to ask besides those that stand for all. */
  readonly proxies?: readonly Proxy[];
  /** How many proxies stand for all, at most. Default: see representatives. */
  readonly maxRepresentatives?: number;
  /** What the proxies can run; default: every filter's own config is taken unread. */
  readonly extensions?: Extensions;
  /** Objects that live proxies refused: key text → why. They are set aside without a test. */
  readonly refusedLive?: ReadonlyMap<string, readonly FieldError[]>;
}

/** Rounds of "find who is to blame, look again" before what is left is only reported. */
const maxRounds = 6;
/** Objects set aside before that are tried anew with each change. */
const maxRetried = 20;

/**
 * The context of all objects but those that are wrong, or that would make a proxy refuse what it is sent; of these the last good version stays in force.
 * The same answer whether it is built from `previous` or from nothing. Pure: pilot publishes it, explain and analyze set the same objects aside.
 */
export function checkedContext(options: CheckOptions): CheckedContext {
  return new Check(options).run();
}

class Check {
  readonly #options: CheckOptions;
  readonly #newest = new Map<string, Config>();
  readonly #inForce: Map<string, Config>;
  readonly #aside = new Map<string, SetAside>();
  readonly #extensions: Extensions;
  #push: PushContext;

  constructor(options: CheckOptions) {
    this.#options = options;
    this.#extensions = options.extensions ?? anyExtension;
    for (const config of options.configs) this.#newest.set(textOf(config), config);
    this.#inForce = new Map(this.#newest);
    for (const [text, errors] of options.refusedLive ?? []) this.#setAside(text, errors);
    for (const { config, errors, refusedLive } of options.previous?.setAside ?? []) {
      const text = keyText(config.key);
      if (!refusedLive && this.#newest.get(text) === config && !this.#aside.has(text)) this.#setAside(text, errors);
    }
    this.#push = this.#build([...this.#inForce.values()]);
  }

  run(): CheckedContext {
    let refused: readonly RefusedByProxy[] = [];
    for (let round = 0; round < maxRounds; round++) {
      this.#withoutUnusable();
      refused = this.#refusals();
      if (refused.length === 0 || !this.#blame(refused)) break;
    }
    if (refused.length === 0) this.#retry();
    return { push: this.#push, setAside: [...this.#aside.values()], stillRefused: refused, inForce: this.#inForce };
  }

  /** Unchanged sections are kept from the newest build, so that a test costs what differs. */
  #build(configs: readonly Config[]): PushContext {
    const { previous, lastGood: _lastGood, proxies: _proxies, maxRepresentatives: _max, extensions: _extensions, refusedLive: _refusedLive, ...rest } = this.#options;
    return buildPushContext({ ...rest, configs, previous: this.#push ?? previous?.push });
  }

  /** Objects that could not even be indexed. */
  #withoutUnusable(): void {
    for (let round = 0; round < maxRounds && this.#push.quarantined.length > 0; round++) {
      for (const { key, errors } of this.#push.quarantined) this.#setAside(keyText(key), errors);
      this.#push = this.#build([...this.#inForce.values()]);
    }
  }

  #refusals(): readonly RefusedByProxy[] {
    // Endpoints alone cannot change what a proxy thinks of clusters, listeners and routes.
    const proxies = [...representatives(this.#push, this.#inForce.values(), this.#options.maxRepresentatives), ...(this.#options.proxies ?? [])];
    return refusals(this.#push, proxies, this.#extensions);
  }

  /** Sets aside who is to blame; false when nobody can be found. */
  #blame(refused: readonly RefusedByProxy[]): boolean {
    const changed = [...this.#inForce.values()].filter((config) => this.#options.previous?.inForce.get(keyText(config.key)) !== config);
    const culprits = this.#search(changed, refused) ?? this.#search([...this.#inForce.values()], refused) ?? [];
    for (const { config, errors } of culprits) this.#setAside(keyText(config.key), errors);
    if (culprits.length > 0) this.#push = this.#build([...this.#inForce.values()]);
    return culprits.length > 0;
  }

  #search(suspects: readonly Config[], refused: readonly RefusedByProxy[]) {
    const texts = new Set(suspects.map(({ key }) => keyText(key)));
    const base = [...this.#inForce.entries()].flatMap(([text, config]) => (texts.has(text) ? this.#replacement(config) : [config]));
    // Whom everything else hangs on comes first, then the oldest: of two that quarrel the newer is set aside.
    const ordered = suspects.toSorted((a, b) => rank(a) - rank(b) || byAge(a, b));
    return findCulprits({ base, suspects: ordered, test: (configs) => this.#wrongWith(configs, refused) });
  }

  #replacement({ key }: Config): Config[] {
    const earlier = this.#options.previous?.inForce.get(keyText(key)) ?? this.#options.lastGood?.(key);
    return earlier && earlier !== this.#inForce.get(keyText(key)) ? [earlier] : [];
  }

  /** What the proxies that refused something would say now. */
  #wrongWith(configs: readonly Config[], refused: readonly RefusedByProxy[]): readonly FieldError[] {
    const push = this.#build(configs);
    const found: FieldError[] = [];
    for (const { proxy, typeUrl, name } of refused) {
      for (const wrong of refusedFor(push, proxy, { typeUrl, ...(name === '' ? {} : { names: [name] }) }, this.#extensions)) found.push(...asReason(typeUrl, wrong));
    }
    return found;
  }

  /** An object may be good by now: the one it quarrelled with is gone. */
  #retry(): void {
    const { previous, refusedLive } = this.#options;
    if (previous === undefined || previous.push.shape === this.#push.shape) return;
    const remembered = [...this.#aside.values()].filter(({ config, key }) => !refusedLive?.has(keyText(key)) && previous.setAside.some((before) => before.config === config)).slice(0, maxRetried);
    for (const { config, key } of remembered) {
      const text = keyText(key);
      const push = this.#build([...this.#inForce.entries()].flatMap(([other, each]) => (other === text ? [] : [each])).concat(config));
      if (push.quarantined.length > 0 || refusals(push, representatives(push, [...this.#inForce.values(), config], this.#options.maxRepresentatives), this.#extensions).length > 0) continue;
      this.#inForce.set(text, config);
      this.#aside.delete(text);
      this.#push = push;
    }
  }

  #setAside(text: string, errors: readonly FieldError[]): void {
    const config = this.#newest.get(text);
    if (!config) return;
    const bad = this.#inForce.get(text);
    const earlier = this.#options.lastGood?.(config.key) ?? this.#options.previous?.inForce.get(text);
    const lastGood = earlier !== config && earlier !== bad ? earlier : undefined;
    // Set aside for the second time: the earlier version is no better.
    if (lastGood && !this.#aside.has(text)) this.#inForce.set(text, lastGood);
    else this.#inForce.delete(text);
    this.#aside.set(text, { key: config.key, config, errors: this.#aside.get(text)?.errors ?? errors, lastGoodInForce: this.#inForce.has(text), refusedLive: this.#options.refusedLive?.has(text) === true });
  }
}

/** Services before the rules about them. */
function rank({ key }: Config): number {
  return key.group.endsWith('.istio.io') || key.group === 'gateway.networking.k8s.io' ? 1 : 0;
}

const maxShown = 3;

function asReason(typeUrl: string, { name, errors }: { readonly name: string; readonly errors: readonly FieldError[] }): FieldError[] {
  const what = name === '' ? shortTypeName(typeUrl) : `${shortTypeName(typeUrl)} ${name}`;
  return errors.slice(0, maxShown).map(({ path, message }) => ({ path: '', message: `a proxy would refuse its configuration (${what}): ${path === '' ? '' : `${path}: `}${message}` }));
}

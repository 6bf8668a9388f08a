import { keyText, type Config, type MeshConfigSpec, type SecretSpec } from '@meltemi/config';
import type { FieldError } from '@meltemi/base';
import { buildPushContext, checkedContext, secretProblems, type CheckedContext, type Features, type KeySets, type Proxy, type PushContext, type ResolvedNames } from '@meltemi/pilot';
import { shortTypeName } from '@meltemi/xds';
import type { LiveRefusals, VersionMemory } from './live-refusals.ts';

export interface ContextBuilderOptions {
  readonly configs: () => Iterable<Config>;
  readonly mesh: () => MeshConfigSpec;
  readonly memory: VersionMemory;
  readonly refusals: LiveRefusals;
  readonly log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
  readonly domain?: string | undefined;
  readonly clusterId?: string | undefined;
  readonly features?: Features | undefined;
  /** What was fetched of issuers' keys. */
  readonly keySets?: (() => KeySets) | undefined;
  /** PEM of the mesh's roots. */
  readonly trustAnchors?: (() => readonly string[]) | undefined;
  /** What the names of network gateways were looked up as. */
  readonly gatewayAddresses?: (() => ResolvedNames) | undefined;
}

/** Proxies asked before publishing because they would have refused something that nobody else did. */
const maxAlsoAsked = 64;

/** Builds the contexts that are published: of everything but what proxies would refuse, or have refused. */
export class ContextBuilder {
  readonly #options: ContextBuilderOptions;
  readonly #alsoAsk = new Map<string, Proxy>();

  constructor(options: ContextBuilderOptions) {
    this.#options = options;
  }

  /** The next context; says in the log what it sets aside for the first time. */
  next(previous: CheckedContext | undefined): CheckedContext {
    const { configs, mesh, memory, refusals, log } = this.#options;
    const objects = [...configs()];
    let newest: ReadonlyMap<string, Config> | undefined;
    // most of the time nobody asks
    const newestOf = (text: string) => (newest ??= new Map(objects.map((config) => [keyText(config.key), config]))).get(text);
    const options = { ...this.#fixed, configs: objects, previous, proxies: [...this.#alsoAsk.values()], lastGood: (key: Config['key']) => memory.lastGood(key), refusedLive: new Map([...refusals.barred(newestOf), ...brokenSecrets(objects)]) };
    const checked = checkedContext({ ...options, meshConfig: mesh() });
    for (const { key, config, errors, lastGoodInForce } of checked.setAside)
      if (!previous?.setAside.some((before) => before.config === config)) log.warn({ object: keyText(key), errors, lastGoodInForce }, 'object quarantined');
    if (checked.stillRefused.length === 0) return checked;
    log.error({ refused: checked.stillRefused.map(({ typeUrl, name, errors }) => ({ type: shortTypeName(typeUrl), name, errors })) }, 'proxies would refuse this, and no object is to blame alone; with a new mesh configuration the last one stays in force');
    return previous && previous.push.mesh !== checked.push.mesh ? checkedContext({ ...options, meshConfig: previous.push.mesh }) : checked;
  }

  /** What `like` would be with these objects instead. */
  variant(configs: readonly Config[], like: PushContext): PushContext {
    return buildPushContext({ ...this.#fixed, configs, meshConfig: like.mesh, previous: like });
  }

  /** This proxy is asked, too, before anything is published. False: it is already, or there are too many. */
  alsoAsk(proxy: Proxy): boolean {
    if (this.#alsoAsk.has(proxy.name) || this.#alsoAsk.size >= maxAlsoAsked) return false;
    this.#alsoAsk.set(proxy.name, proxy);
    return true;
  }

  get #fixed() {
    const { domain, clusterId, features, keySets, trustAnchors, gatewayAddresses } = this.#options;
    return { ...(domain ? { domain } : {}), ...(clusterId ? { clusterId } : {}), ...(features ? { features } : {}), ...(keySets ? { keySets: keySets() } : {}), ...(trustAnchors ? { trustAnchors: trustAnchors() } : {}), ...(gatewayAddresses ? { gatewayAddresses: gatewayAddresses() } : {}) };
  }
}

/** Secrets that are there to be served and cannot be: their last good versions go on. */
function brokenSecrets(objects: readonly Config[]): [string, readonly FieldError[]][] {
  return objects.filter(({ key }) => key.group === '' && key.kind === 'Secret').map(({ key, spec }): [string, readonly FieldError[]] => [keyText(key), secretProblems(spec as SecretSpec)]).filter(([, errors]) => errors.length > 0);
}

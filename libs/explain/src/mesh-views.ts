import type { Result } from '@meltemi/base';
import { checkedContext, defaultFeatures, type CheckedContext, type Features, type KeySets, type PushContext } from '@meltemi/pilot';
import type { LoadedMesh, SetAside } from './load.ts';
import type { ProxyQuestion } from './question.ts';
import { proxyOfQuestion, resourceExtensions, viewIn, type ProxyView } from './view.ts';

/** Objects times proxies that stand for all others: what it may cost to find out that somebody else would refuse an object. The one that is asked about is always looked at. */
const patience = 20_000;

/** What the proxies of one mesh would have: the mesh is read once, and each proxy that is described alike is looked at once. */
export class MeshViews {
  readonly mesh: LoadedMesh;
  readonly #features: Features;
  readonly #keySets: KeySets;
  readonly #views = new Map<string, Result<ProxyView>>();
  #checked: CheckedContext | undefined;

  /** `keySets`: what was fetched of issuers; without any only tokens that are taken for validated are good. */
  constructor(mesh: LoadedMesh, features: Features = defaultFeatures, keySets: KeySets = new Map()) {
    this.mesh = mesh;
    this.#keySets = keySets;
    this.#features = { ...features, routeOrigins: true };
  }

  /** The objects in force for everybody. */
  get push(): PushContext {
    return this.#context().push;
  }

  /** Objects that are left out, and why. */
  get setAside(): readonly SetAside[] {
    return this.#namesOf(this.#context());
  }

  /** Errors are about the proxy's description alone. */
  of(question: ProxyQuestion): Result<ProxyView> {
    const key = JSON.stringify(question);
    let view = this.#views.get(key);
    if (view === undefined) this.#views.set(key, (view = this.#make(question)));
    return view;
  }

  /** Objects that this proxy alone would refuse are looked for only when it refuses something. */
  #make(question: ProxyQuestion): Result<ProxyView> {
    const proxy = proxyOfQuestion(question);
    if (!proxy.ok) return proxy;
    const view = viewIn(this.mesh, this.push, proxy.value);
    if (view.refused.length === 0) return { ok: true, value: { ...view, setAside: this.setAside } };
    const checked = checkedContext({ ...this.#options(), proxies: [proxy.value] });
    return { ok: true, value: { ...viewIn(this.mesh, checked.push, proxy.value), setAside: this.#namesOf(checked) } };
  }

  #context(): CheckedContext {
    return (this.#checked ??= checkedContext(this.#options()));
  }

  #options() {
    const { configs, meshConfig } = this.mesh;
    return { configs, meshConfig, extensions: resourceExtensions, features: this.#features, keySets: this.#keySets, maxRepresentatives: Math.max(1, Math.min(64, Math.floor(patience / Math.max(1, configs.length)))) };
  }

  #namesOf({ setAside }: CheckedContext): SetAside[] {
    return [...this.mesh.setAside, ...setAside.map(({ key, errors }): SetAside => ({ origin: this.mesh.originOf(key, errors[0]?.path ?? ''), errors }))];
  }
}

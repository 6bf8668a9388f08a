import { perKind, type ResourceKind, type ResourceUpdate, type WireResource } from './worker-messages.ts';

/** One resource in force, as it came. */
export interface HeldResource extends WireResource {
  /** The server's version; "" for static ones. */
  readonly version: string;
  readonly lastUpdatedMs: number;
  readonly origin: 'static' | 'dynamic';
  /** Of a scope: which requests it is for. */
  readonly scopeKey?: string | undefined;
}

/** Why the newest version of a resource is not in force, for the config dump. */
export interface RefusedResource {
  readonly version: string;
  readonly atMs: number;
  readonly message: string;
}

/** What the proxy has accepted, as bytes: what a new worker starts with and what the config dump shows. Owned by the control thread. */
export class ResourceStore {
  readonly #held = perKind(() => new Map<string, HeldResource>());
  readonly #refused = perKind(() => new Map<string, RefusedResource>());

  get(kind: ResourceKind, name: string): HeldResource | undefined {
    return this.#held[kind].get(name);
  }

  held(kind: ResourceKind): readonly HeldResource[] {
    return [...this.#held[kind].values()];
  }

  refused(kind: ResourceKind): ReadonlyMap<string, RefusedResource> {
    return this.#refused[kind];
  }

  /** False when a static resource has this name: those are the operator's and stay. */
  put(kind: ResourceKind, resource: HeldResource): boolean {
    if (resource.origin === 'dynamic' && this.#held[kind].get(resource.name)?.origin === 'static') return false;
    this.#held[kind].set(resource.name, resource);
    this.#refused[kind].delete(resource.name);
    return true;
  }

  remove(kind: ResourceKind, name: string): boolean {
    this.#refused[kind].delete(name);
    if (this.#held[kind].get(name)?.origin === 'static') return false;
    return this.#held[kind].delete(name);
  }

  refuse(kind: ResourceKind, name: string, refusal: RefusedResource): void {
    this.#refused[kind].set(name, refusal);
  }

  /** The newest version of a whole source is not in force. */
  refuseAll(kind: ResourceKind, refusal: RefusedResource): void {
    for (const { name, origin } of this.#held[kind].values()) if (origin === 'dynamic') this.refuse(kind, name, refusal);
  }

  /** Forgets refusals of what is good again, or gone. */
  keepRefusals(kind: ResourceKind, keep: (name: string) => boolean): void {
    for (const name of this.#refused[kind].keys()) if (!keep(name)) this.#refused[kind].delete(name);
  }

  /** Takes back a version that a worker refused: a worker that starts later must begin with what serves. Newer versions stay. */
  restore(kind: ResourceKind, name: string, before: HeldResource | undefined, refusal: RefusedResource): void {
    const held = this.#held[kind].get(name);
    if (!held || held.origin === 'static' || (before && held.lastUpdatedMs < before.lastUpdatedMs)) return;
    if (before) this.#held[kind].set(name, before);
    else this.#held[kind].delete(name);
    this.#refused[kind].set(name, refusal);
  }

  /** Everything, as one update. */
  state(): ResourceUpdate {
    return perKind((kind) => ({ set: this.held(kind).map(({ name, bytes, modules = [] }) => ({ name, bytes, modules })), removed: [] }));
  }
}

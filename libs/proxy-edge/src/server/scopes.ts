import type { RouteHolder } from '@meltemi/proxy';
import type { Scope, ScopedRoutes } from '@meltemi/snapshot';

type HolderOf = (rdsName: string) => RouteHolder;

/** The scopes of SRDS that this worker knows, for every connection manager that follows them. */
export class Scopes {
  readonly #holderOf: HolderOf;
  readonly #byName = new Map<string, Scope>();
  readonly #tables = new Map<string, RouteHolder>();

  /** `holderOf` says where the table of an RDS name is. */
  constructor(holderOf: HolderOf) {
    this.#holderOf = holderOf;
  }

  set(name: string, scope: Scope | null): void {
    const before = this.#byName.get(name);
    if (scope === null) this.#byName.delete(name);
    else this.#byName.set(name, scope);
    if (before !== undefined && before.key !== scope?.key) this.#forget(before.key);
    if (scope !== null) this.#tables.set(scope.key, tableOf(scope, this.#holderOf));
  }

  /** Route tables that scopes name and listeners wait for; null = no scope is known yet. */
  get awaited(): readonly string[] | null {
    if (this.#byName.size === 0) return null;
    return [...this.#byName.values()].flatMap(({ onDemand, routes }) => (routes.kind === 'rds' && !onDemand ? [routes.name] : []));
  }

  /** Finds the table of a request for a connection manager. */
  holder({ keyOf, scopes }: ScopedRoutes): RouteHolder {
    const tables = scopes === null ? this.#tables : new Map(scopes.map((scope) => [scope.key, tableOf(scope, this.#holderOf)]));
    return {
      table: null,
      tableOf: (head) => {
        const key = keyOf(head);
        return key === null ? null : (tables.get(key)?.table ?? null);
      },
    };
  }

  /** The key may be another scope's by now: two may have exchanged theirs. */
  #forget(key: string): void {
    const other = this.#byName.values().find((scope) => scope.key === key);
    if (other === undefined) this.#tables.delete(key);
    else this.#tables.set(key, tableOf(other, this.#holderOf));
  }
}

function tableOf({ routes }: Scope, holderOf: HolderOf): RouteHolder {
  return routes.kind === 'rds' ? holderOf(routes.name) : { table: routes.table };
}

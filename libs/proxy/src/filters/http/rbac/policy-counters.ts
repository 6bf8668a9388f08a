import type { Counter, FlatStats } from '@meltemi/observe';

/** A counter for each policy, made when it is first met: "<prefix>.policy.<name>.<what>", as Envoy names them. @hot */
export class PolicyCounters {
  readonly #stats: FlatStats;
  readonly #prefix: string;
  readonly #what: string;
  /** As many as there are policies at most. */
  readonly #counters = new Map<string, Counter>();

  constructor(stats: FlatStats, prefix: string, what: string) {
    this.#stats = stats;
    this.#prefix = prefix;
    this.#what = what;
  }

  inc(policy: string): void {
    let counter = this.#counters.get(policy);
    if (counter === undefined) this.#counters.set(policy, (counter = this.#stats.counter(`${this.#prefix}.policy.${policy}.${this.#what}`)));
    counter.inc();
  }
}

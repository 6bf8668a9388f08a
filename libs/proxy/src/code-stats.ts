import type { Counter, FlatStats } from '@meltemi/observe';

/** Counters of one status code: completed, its class, itself. */
interface OfStatus {
  readonly completed: Counter;
  readonly group: Counter;
  readonly code: Counter;
}

/** upstream_rq_completed, upstream_rq_<class> and upstream_rq_<code> under one prefix; made at first use. @hot */
export class CodeStats {
  readonly #stats: FlatStats;
  readonly #prefix: string;
  readonly #known = new Map<number, OfStatus>();

  /** `prefix` ends in a dot: "cluster.reviews.", "cluster.reviews.internal.". */
  constructor(stats: FlatStats, prefix: string) {
    this.#stats = stats;
    this.#prefix = prefix;
  }

  charge(status: number): void {
    const found = this.#known.get(status) ?? this.#make(status);
    found.completed.inc();
    found.group.inc();
    found.code.inc();
  }

  #make(status: number): OfStatus {
    const counter = (name: string) => this.#stats.counter(`${this.#prefix}upstream_rq_${name}`);
    const hundreds = (status / 100) | 0;
    const made = { completed: counter('completed'), group: counter(hundreds >= 1 && hundreds <= 5 ? `${hundreds}xx` : 'unknown'), code: counter(String(status)) };
    this.#known.set(status, made);
    return made;
  }
}

/** Callers name some of these. */
const mostPrefixes = 64;

/** Code counters by prefix, as many as a cluster may have. */
export function codeStatsByPrefix(stats: FlatStats, clusterPrefix: string): (prefix: string) => CodeStats | null {
  const known = new Map<string, CodeStats>();
  return (prefix) => {
    const found = known.get(prefix);
    if (found !== undefined || known.size >= mostPrefixes) return found ?? null;
    const made = new CodeStats(stats, `${clusterPrefix}${prefix}.`);
    known.set(prefix, made);
    return made;
  };
}

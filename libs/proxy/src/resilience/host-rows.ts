import type { Host, HostState } from '../balance/index.ts';
import type { SharedRow, SharedRows } from '../shared-rows.ts';

/** What the words of a host's row mean. */
export const HostWord = {
  /** Failures in a row, by kind. */
  consecutive5xx: 0, consecutiveGateway: 1, consecutiveLocal: 2,
  /** Times ejected, less the sweeps it has been good since: the multiplier of the base ejection time. */
  backoff: 3,
  /** When its ejection ends: process time (SharedRows.timeOf). */
  until: 4,
  /** 1 while it is ejected. */
  ejected: 5,
  /** What each of its four resources said, and how many workers had left, when rates were judged last: see HostVolume. */
  judged: 6, judgedLosses: 10,
  /** What active health checks say: see check-marks.ts. */
  checks: 11,
  /** How often it asked a worker that does not check it to be left out. */
  asked: 12,
} as const;

/** What a host's resources count: answers and good ones, own failures when both are counted apart. They only grow. */
export const HostVolume = { externalTotal: 0, externalGood: 1, localTotal: 2, localGood: 3 } as const;

/** What the words of a cluster's row mean: when rates were judged last (process time; 0 never); 1 once it had traffic. */
export const ClusterWord = { judgedAt: 0, used: 1 } as const;

/** What all workers know of the hosts of one cluster: a row each, held as long as this worker knows the host. */
export class HostRows {
  readonly #rows: SharedRows;
  readonly #cluster: string;
  #held = new Map<HostState, SharedRow>();

  constructor(rows: SharedRows, cluster: string) {
    this.#rows = rows;
    this.#cluster = cluster;
  }

  /** There is but one worker. */
  get alone(): boolean {
    return this.#rows.alone;
  }

  /** Null when the host is not one of the cluster's. @hot */
  of({ state }: Host): SharedRow | null {
    return this.#held.get(state) ?? null;
  }

  /** Follows the cluster's hosts. */
  follow(hosts: readonly Host[]): void {
    const before = this.#held;
    this.#held = new Map();
    for (const { state } of hosts) {
      this.#held.set(state, before.get(state) ?? this.#rows.hold(`host ${this.#cluster} ${state.key}`));
      before.delete(state);
    }
    for (const row of before.values()) row.release();
  }

  release(): void {
    this.follow([]);
  }
}

import type { RequestHead } from '@meltemi/http';
import type { Counter, FlatStats } from '@meltemi/observe';
import type { VirtualCluster } from '@meltemi/route';
import { CodeStats } from '../../../code-stats.ts';

/** What is counted of a virtual cluster, under Envoy's names. */
export interface VirtualClusterStats {
  readonly name: string;
  readonly codes: CodeStats;
  readonly rqTotal: Counter;
  readonly rqTimeout: Counter;
  readonly rqRetry: Counter;
  readonly rqRetrySuccess: Counter;
  readonly rqRetryOverflow: Counter;
  readonly rqRetryLimitExceeded: Counter;
}

/** Finds which virtual cluster a request counts for, before its head is rewritten. */
export class VirtualClusters {
  readonly #stats: FlatStats;
  readonly #known = new WeakMap<VirtualCluster, VirtualClusterStats>();

  constructor(stats: FlatStats) {
    this.#stats = stats;
  }

  of(head: RequestHead, among: readonly VirtualCluster[]): VirtualClusterStats | null {
    const found = among.find(({ headers }) => headers.every((match) => match.matches(head)));
    return found === undefined ? null : (this.#known.get(found) ?? this.#make(found));
  }

  #make(cluster: VirtualCluster): VirtualClusterStats {
    const prefix = `vhost.${cluster.virtualHostName}.vcluster.${cluster.name}.`;
    const counter = (name: string) => this.#stats.counter(`${prefix}upstream_rq_${name}`);
    const made = {
      name: cluster.name,
      codes: new CodeStats(this.#stats, prefix), rqTotal: counter('total'), rqTimeout: counter('timeout'), rqRetry: counter('retry'), rqRetrySuccess: counter('retry_success'),
      rqRetryOverflow: counter('retry_overflow'), rqRetryLimitExceeded: counter('retry_limit_exceeded'),
    };
    this.#known.set(cluster, made);
    return made;
  }
}

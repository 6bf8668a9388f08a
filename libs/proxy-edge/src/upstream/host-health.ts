import type { Clock, Random } from '@meltemi/base';
import type { FlatStats } from '@meltemi/observe';
import { ClusterWord, HostRows, OutlierDetector, type ClusterChecker, type Host, type SharedRow, type SharedRows } from '@meltemi/proxy';
import type { Cluster } from '@meltemi/snapshot';
import type { ClientTls } from '../transport/tls-client.ts';
import { startHealthChecks } from './health-checks.ts';

/** The cluster whose hosts are judged. */
export interface JudgedCluster {
  /** As it is now. */
  config(): Cluster;
  hosts(): readonly Host[];
  tlsOf(host: Host, criteria: Readonly<Record<string, unknown>> | null): ClientTls | null;
  hasTraffic(): boolean;
  /** Somebody is out or back in: choose anew at once. */
  onChange(): void;
  /** Whoever has connections to the host may want to close them. */
  onUnhealthy(host: Host): void;
  /** The host failed its active health checks. */
  onCheckFailed(host: Host): void;
  /** Every host has been checked once. */
  onFirstChecks(): void;
}

export interface HostHealthDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly stats: FlatStats;
  readonly shared: SharedRows;
  now(): number;
  log(fields: object, message: string): void;
}

/** Who of a cluster's hosts is well: outlier detection and active health checks, as its config says, and what all workers know of that together. */
export class HostHealth {
  readonly #cluster: JudgedCluster;
  readonly #deps: HostHealthDeps;
  readonly #row: SharedRow;
  /** Null while nobody judges hosts. */
  #rows: HostRows | null = null;
  #outliers: OutlierDetector | null = null;
  #checks: ClusterChecker | null = null;
  #stale = false;
  #seenVersion: number;

  /** `row`: the cluster's, which the caller releases after `stop`. */
  constructor(cluster: JudgedCluster, row: SharedRow, deps: HostHealthDeps) {
    this.#cluster = cluster;
    this.#deps = deps;
    this.#row = row;
    this.#seenVersion = row.version;
    this.update();
  }

  /** Hosts must be sorted by health anew: something was found here, or by another worker (`look` then). @hot */
  get stale(): boolean {
    return this.#stale || (this.#rows !== null && this.#row.version !== this.#seenVersion);
  }

  /** Some host has not had its first health check yet. */
  get awaitsChecks(): boolean {
    return this.#checks?.waiting === true;
  }

  /** The cluster's config changed. Hosts that are in use stay so until somebody says otherwise. */
  update(): void {
    const { healthCheck, outlierDetection, name } = this.#cluster.config();
    const judged = healthCheck !== null || outlierDetection !== null;
    if (judged) {
      this.#rows ??= new HostRows(this.#deps.shared, name);
      this.#rows.follow(this.#cluster.hosts());
    }
    this.#watchOutliers();
    this.#watchHealth();
    if (judged) return;
    this.#rows?.release();
    this.#rows = null;
  }

  /** The cluster has other hosts. */
  follow(hosts: readonly Host[]): void {
    this.#rows?.follow(hosts);
    this.#outliers?.sync();
    this.#checks?.follow(hosts);
  }

  /** Puts in force what other workers found, and takes note that the caller sorts anew. */
  look(): void {
    const { version } = this.#row;
    if (version !== this.#seenVersion) {
      this.#seenVersion = version;
      for (const host of this.#outliers?.sync() ?? []) this.#cluster.onUnhealthy(host);
      this.#checks?.sync();
    }
    this.#stale = false;
  }

  report(host: Host, status: number): void {
    this.#outliers?.report(host, status, this.#deps.now());
  }

  failHealthCheck(host: Host): void {
    this.#checks?.failNow(host);
  }

  tick(nowMs: number): void {
    this.#outliers?.tick(nowMs);
    if (this.#checks === null) return;
    if (this.#cluster.hasTraffic()) this.#row.set(ClusterWord.used, 1);
    this.#checks.sync();
  }

  /** Brings the process's gauges up to date. */
  publish(): void {
    this.#outliers?.show();
  }

  /** The cluster is gone. */
  stop(): void {
    this.#checks?.stop(false);
    this.#checks = null;
    this.#outliers = null;
    this.#rows?.release();
    this.#rows = null;
  }

  #watchOutliers(): void {
    const { outlierDetection, statName } = this.#cluster.config();
    if (outlierDetection === null) this.#outliers?.stop();
    else this.#outliers?.update(outlierDetection);
    if (outlierDetection === null || this.#rows === null) this.#outliers = null;
    else {
      const { random, stats, shared } = this.#deps;
      this.#outliers ??= new OutlierDetector(outlierDetection, {
        random, stats, shared, cluster: this.#row, rows: this.#rows, prefix: `cluster.${statName}`, hosts: () => this.#cluster.hosts(),
        onChange: (ejected) => {
          this.#cluster.onChange();
          if (ejected !== null) this.#cluster.onUnhealthy(ejected);
        },
      }, this.#deps.now());
    }
  }

  #watchHealth(): void {
    const { healthCheck } = this.#cluster.config();
    if (this.#checks !== null) this.#checks.stop(healthCheck === null);
    this.#checks = null;
    this.#stale = true;
    if (healthCheck === null || this.#rows === null) return;
    this.#checks = startHealthChecks(healthCheck, {
      ...this.#deps, cluster: () => this.#cluster.config(), tlsOf: (host, criteria) => this.#cluster.tlsOf(host, criteria), rows: this.#rows, row: this.#row,
      hasTraffic: () => this.#cluster.hasTraffic() || this.#row.get(ClusterWord.used) === 1,
      onChecked: (host, passed, changed) => this.#checked(host, passed, changed), onFirstRound: () => this.#cluster.onFirstChecks(),
    });
    this.#checks.adopt(this.#cluster.hosts());
  }

  #checked(host: Host, passed: boolean, changed: boolean): void {
    if (passed) this.#outliers?.passedHealthCheck(host);
    if (!changed) return;
    this.#stale = true;
    if (!host.state.failedHealthCheck) return;
    this.#cluster.onUnhealthy(host);
    this.#cluster.onCheckFailed(host);
  }
}

import { getHeapStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { FlatStats } from '@meltemi/observe';
import { OverloadState, type Pressures } from '@meltemi/proxy';
import type { OverloadConfig } from '@meltemi/snapshot';

export interface OverloadOptions {
  readonly config: OverloadConfig | null;
  /** Connections of every worker, one number each, shared by all threads. */
  readonly connections: Int32Array;
  /** This worker's place in it. */
  readonly index: number;
}

const builtInRefreshMs = 1000;
/** A collection stops the worker: not more often, however full it is. */
const shrinkEveryMs = 10_000;

/** Watches memory and connections for one worker, and says what overload asks of it. */
export class OverloadMonitor {
  readonly state: OverloadState;
  readonly #options: OverloadOptions;
  readonly #stats: FlatStats;
  readonly #timer: NodeJS.Timeout;
  readonly #activeConnections: () => number;
  #shrunkAtMs = -shrinkEveryMs;
  #collect: (() => void) | null = null;

  constructor(options: OverloadOptions, stats: FlatStats, activeConnections: () => number) {
    this.#options = options;
    this.#stats = stats;
    this.#activeConnections = activeConnections;
    this.state = new OverloadState(options.config);
    this.#timer = setInterval(() => this.#look(), options.config?.refreshMs ?? builtInRefreshMs);
    this.#timer.unref();
    this.#look();
  }

  /** One more connection: whether the limit on all of them leaves room. Closed ones are seen when it seems not to. */
  admit(): boolean {
    const { connections, index, config } = this.#options;
    Atomics.add(connections, index, 1);
    const limit = config?.maxConnections ?? null;
    if (limit === null || this.#all() <= limit) return true;
    Atomics.store(connections, index, this.#activeConnections() + 1);
    if (this.#all() <= limit) return true;
    Atomics.sub(connections, index, 1);
    return false;
  }

  /** Connections of the other workers, as of a second ago. */
  get elsewhere(): number {
    const { connections, index } = this.#options;
    return this.#all() - Atomics.load(connections, index);
  }

  stop(): void {
    clearInterval(this.#timer);
    Atomics.store(this.#options.connections, this.#options.index, 0);
  }

  #all(): number {
    return this.#options.connections.reduce((sum, count) => sum + count, 0);
  }

  #look(): void {
    const { config, connections, index } = this.#options;
    Atomics.store(connections, index, this.#activeConnections());
    const heap = getHeapStatistics();
    const pressures: Pressures = {
      heap: config?.maxHeapBytes ? process.memoryUsage.rss() / config.maxHeapBytes : 0,
      connections: config?.maxConnections ? this.#all() / config.maxConnections : 0,
      worker: heap.used_heap_size / heap.heap_size_limit,
    };
    this.state.update(pressures);
    if (config !== null && index === 0) this.#report(config, pressures);
    if (this.state.shrinkHeap > 0) this.#shrink();
  }

  /** The process' numbers: told by one worker, so that they are not summed over all. */
  #report(config: OverloadConfig, pressures: Pressures): void {
    if (config.maxHeapBytes !== null) this.#stats.gauge('overload.envoy.resource_monitors.fixed_heap.pressure').set(Math.round(pressures.heap * 100));
    if (config.maxConnections !== null) this.#stats.gauge('overload.envoy.resource_monitors.global_downstream_max_connections.pressure').set(Math.round(pressures.connections * 100));
    for (const { name } of config.actions) {
      const value = this.state.valueOf(name, pressures);
      this.#stats.gauge(`overload.envoy.overload_actions.${name}.active`).set(value >= 1 ? 1 : 0);
      this.#stats.gauge(`overload.envoy.overload_actions.${name}.scale_percent`).set(Math.round(value * 100));
    }
  }

  #shrink(): void {
    const now = performance.now();
    if (now - this.#shrunkAtMs < shrinkEveryMs) return;
    this.#shrunkAtMs = now;
    this.#stats.counter('overload.envoy.overload_actions.shrink_heap.shrink_count').inc();
    this.#collect ??= collector();
    this.#collect();
  }
}

/** The engine's collector, which it shows only on demand. */
function collector(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  setFlagsFromString('--no-expose-gc');
  return collect;
}

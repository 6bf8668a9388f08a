import type { FlatStats } from '@meltemi/observe';
import type { ResourceKind } from './worker-messages.ts';

/** Update statistics under Envoy's names. */
export class SourceStats {
  readonly #flat: FlatStats;
  readonly #connected = new Map<string, boolean>();

  constructor(flat: FlatStats) {
    this.#flat = flat;
  }

  /** `prefix`: "cluster_manager.cds.", "cluster.<name>.", … */
  count(prefix: string, what: 'update_attempt' | 'update_success' | 'update_failure' | 'update_rejected' | 'init_fetch_timeout'): void {
    if (what === 'update_attempt') for (const name of ['update_success', 'update_failure', 'update_rejected', 'init_fetch_timeout']) this.#flat.counter(prefix + name);
    this.#flat.counter(prefix + what).inc();
    if (!prefix.startsWith('extension_config_discovery.')) return;
    if (what === 'update_success') this.#flat.counter(`${prefix}config_reload`).inc();
    else if (what === 'update_rejected') this.#flat.counter(`${prefix}config_fail`).inc();
  }

  /** A server's stream came up or was lost; the gauge is 1 while any is up. */
  connected(label: string, up: boolean): void {
    this.#connected.set(label, up);
    this.#flat.gauge('control_plane.connected_state').set(this.anyConnected ? 1 : 0);
  }

  get anyConnected(): boolean {
    return [...this.#connected.values()].includes(true);
  }

  changed(kind: ResourceKind, change: { readonly added: number; readonly modified: number; readonly removed: number; readonly total: number }): void {
    const manager = managers[kind];
    if (manager === undefined) return;
    const [prefix, total] = manager;
    this.#flat.counter(`${prefix}_added`).inc(change.added);
    this.#flat.counter(`${prefix}_modified`).inc(change.modified);
    this.#flat.counter(`${prefix}_removed`).inc(change.removed);
    this.#flat.gauge(total).set(change.total);
  }

  warming(clusters: number): void {
    this.#flat.gauge('cluster_manager.warming_clusters').set(clusters);
  }
}

const managers: Readonly<Partial<Record<ResourceKind, readonly [string, string]>>> = {
  clusters: ['cluster_manager.cluster', 'cluster_manager.active_clusters'],
  listeners: ['listener_manager.listener', 'listener_manager.total_listeners_active'],
};

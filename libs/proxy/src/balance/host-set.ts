import type { LoadAssignment } from '@meltemi/snapshot';
import { Host, type HostState } from './host.ts';

/** The hosts of one locality of one priority. */
export interface LocalityHosts {
  /** null = unset. */
  readonly weight: number | null;
  readonly all: readonly Host[];
  readonly healthy: readonly Host[];
  readonly degraded: readonly Host[];
}

/** The hosts of one priority, and the same by locality. */
export interface PriorityHosts extends Omit<LocalityHosts, 'weight'> {
  readonly localities: readonly LocalityHosts[];
}

/** The hosts of a cluster at one moment. Immutable; replaced whole. */
export interface HostSet {
  readonly all: readonly Host[];
  readonly byKey: ReadonlyMap<string, Host>;
  /** Priority 0 first; at least one. */
  readonly priorities: readonly PriorityHosts[];
  /** Percent: 140 means that a priority with 72 % healthy hosts still takes all of its traffic. */
  readonly overprovisioningFactor: number;
}

/** Keeps hosts of one cluster across updates, so that counters and identity survive. The only writer of its HostSets. */
export class HostStore {
  #states = new Map<string, HostState>();
  #hosts = new Map<string, Host>();
  #current: HostSet = emptyHostSet;
  #assignment: LoadAssignment | null = null;
  readonly #nowMs: () => number;

  /** `nowMs` is Clock.monotonic. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** The latest set. */
  get current(): HostSet {
    return this.#current;
  }

  /** Takes new endpoints. An address that comes up twice counts once, where it came first. */
  update(assignment: LoadAssignment): HostSet {
    const states = new Map<string, HostState>();
    const hosts = new Map<string, Host>();
    for (const [priority, localities] of assignment.priorities.entries()) {
      for (const endpoint of localities.flatMap((locality) => locality.endpoints)) {
        if (hosts.has(endpoint.key)) continue;
        const state = this.#states.get(endpoint.key) ?? this.#newState(endpoint.key);
        const before = this.#hosts.get(endpoint.key);
        const same = before !== undefined && before.priority === priority && JSON.stringify(before.endpoint) === JSON.stringify(endpoint);
        states.set(endpoint.key, state);
        hosts.set(endpoint.key, same ? before : new Host(endpoint, priority, state));
      }
    }
    this.#states = states;
    this.#hosts = hosts;
    this.#assignment = assignment;
    return this.refresh();
  }

  #newState(key: string): HostState {
    return { key, activeRequests: 0, requests: 0, connections: 0, ejected: false, failedHealthCheck: false, addedMs: this.#nowMs() };
  }

  /** Sorts the hosts into healthy and not anew, after ejections changed. */
  refresh(): HostSet {
    if (this.#assignment) this.#current = buildHostSet(this.#assignment, this.#hosts);
    return this.#current;
  }
}

export const emptyHostSet: HostSet = {
  all: [], byKey: new Map(), priorities: [{ all: [], healthy: [], degraded: [], localities: [] }], overprovisioningFactor: 140,
};

function buildHostSet(assignment: LoadAssignment, hosts: ReadonlyMap<string, Host>): HostSet {
  const taken = new Set<string>();
  const priorities = assignment.priorities.map((localities): PriorityHosts => {
    const built = localities.map((locality): LocalityHosts => {
      const all = locality.endpoints.flatMap((endpoint) => {
        const host = hosts.get(endpoint.key);
        if (!host || taken.has(endpoint.key)) return [];
        taken.add(endpoint.key);
        return [host];
      });
      return { weight: locality.weight, ...byHealth(all) };
    });
    return { ...byHealth(built.flatMap((locality) => locality.all)), localities: built };
  });
  const all = [...hosts.values()];
  return { all, byKey: hosts, priorities, overprovisioningFactor: assignment.overprovisioningFactor };
}

function byHealth(all: readonly Host[]): Pick<LocalityHosts, 'all' | 'healthy' | 'degraded'> {
  return {
    all,
    healthy: all.filter((host) => host.endpoint.health === 'healthy' && isUp(host)),
    degraded: all.filter((host) => host.endpoint.health === 'degraded' && isUp(host)),
  };
}

function isUp(host: Host): boolean {
  return !host.state.ejected && !host.state.failedHealthCheck;
}

/** The set with only the hosts that `keep` keeps: what a subset is made of. */
export function filterHostSet(set: HostSet, keep: (host: Host) => boolean): HostSet {
  const filtered = <T extends Pick<LocalityHosts, 'all' | 'healthy' | 'degraded'>>(hosts: T): T =>
    ({ ...hosts, all: hosts.all.filter(keep), healthy: hosts.healthy.filter(keep), degraded: hosts.degraded.filter(keep) });
  const all = set.all.filter(keep);
  return {
    ...set, all, byKey: new Map(all.map((host) => [host.key, host])),
    priorities: set.priorities.map((priority) => ({ ...filtered(priority), localities: priority.localities.map(filtered) })),
  };
}

import type { LoadAssignment } from '@meltemi/snapshot';
import { Host, newHostState, type HostState } from './host.ts';

/** A list of hosts and who of them may be used. */
export interface HostLists {
  readonly all: readonly Host[];
  readonly healthy: readonly Host[];
  readonly degraded: readonly Host[];
  /** How many of all are left out of every count: waiting for their first health check, or by their own wish. */
  readonly excluded: number;
}

/** The hosts of one locality of one priority. */
export interface LocalityHosts extends HostLists {
  /** null = unset. */
  readonly weight: number | null;
}

/** The hosts of one priority, and the same by locality. */
export interface PriorityHosts extends HostLists {
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
  /** The health of a priority is the share of its weights instead of its hosts. */
  readonly weightedPriorityHealth: boolean;
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
        const state = this.#states.get(endpoint.key) ?? newHostState(endpoint.key, this.#nowMs());
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

  /** Sorts the hosts into healthy and not anew, after ejections or health checks changed. Lists that stay the same stay the same object, so that pickers over them can be kept. */
  refresh(): HostSet {
    if (this.#assignment) this.#current = buildHostSet(this.#assignment, this.#hosts, this.#current);
    return this.#current;
  }
}

export const emptyHostSet: HostSet = {
  all: [], byKey: new Map(), priorities: [{ all: [], healthy: [], degraded: [], excluded: 0, localities: [] }], overprovisioningFactor: 140, weightedPriorityHealth: false,
};

function buildHostSet(assignment: LoadAssignment, hosts: ReadonlyMap<string, Host>, before: HostSet): HostSet {
  const taken = new Set<string>();
  const priorities = assignment.priorities.map((localities, i): PriorityHosts => {
    const old = before.priorities[i];
    const built = localities.map((locality, j): LocalityHosts => {
      const all = locality.endpoints.flatMap((endpoint) => {
        const host = hosts.get(endpoint.key);
        if (!host || taken.has(endpoint.key)) return [];
        taken.add(endpoint.key);
        return [host];
      });
      return { weight: locality.weight, ...byHealth(all, old?.localities[j]) };
    });
    return { ...byHealth(built.flatMap((locality) => locality.all), old), localities: built };
  });
  const { overprovisioningFactor, weightedPriorityHealth } = assignment;
  return { all: [...hosts.values()], byKey: hosts, priorities, overprovisioningFactor, weightedPriorityHealth };
}

function byHealth(all: readonly Host[], before: HostLists | undefined): HostLists {
  return {
    all: same(all, before?.all),
    healthy: same(all.filter((host) => healthOf(host) === 'healthy'), before?.healthy),
    degraded: same(all.filter((host) => healthOf(host) === 'degraded'), before?.degraded),
    excluded: all.reduce((count, { state }) => count + (state.excluded === 'no' ? 0 : 1), 0),
  };
}

function same(list: readonly Host[], before: readonly Host[] | undefined): readonly Host[] {
  return before !== undefined && before.length === list.length && list.every((host, i) => host === before[i]) ? before : list;
}

/** What all who judge a host say together: any "unhealthy" wins, then any "degraded". */
export function healthOf({ endpoint, state }: Host): 'healthy' | 'degraded' | 'unhealthy' {
  if (endpoint.health === 'unhealthy' || state.ejected || state.failedHealthCheck || state.excluded !== 'no') return 'unhealthy';
  return endpoint.health === 'degraded' || state.degradedHealthCheck ? 'degraded' : 'healthy';
}

/** The set with only the hosts that `keep` keeps: what a subset is made of. */
export function filterHostSet(set: HostSet, keep: (host: Host) => boolean): HostSet {
  const filtered = <T extends HostLists>(hosts: T): T => {
    const all = hosts.all.filter(keep);
    return { ...hosts, all, healthy: hosts.healthy.filter(keep), degraded: hosts.degraded.filter(keep), excluded: all.reduce((count, { state }) => count + (state.excluded === 'no' ? 0 : 1), 0) };
  };
  const all = set.all.filter(keep);
  return {
    ...set, all, byKey: new Map(all.map((host) => [host.key, host])),
    priorities: set.priorities.map((priority) => ({ ...filtered(priority), localities: priority.localities.map(filtered) })),
  };
}

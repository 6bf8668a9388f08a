import type { Random } from '@meltemi/base';
import type { LbPolicy } from '@meltemi/snapshot';
import { EdfSchedule } from './edf.ts';
import type { Host } from './host.ts';

/** Chooses within one list of hosts. @hot */
export interface HostPicker {
  next(random: Random): Host | null;
}

/** The picker of a policy over `hosts`. */
export function hostPicker(policy: LbPolicy, hosts: readonly Host[]): HostPicker {
  const weighted = hosts.some((host) => host.weight !== hosts[0]?.weight);
  switch (policy.kind) {
    case 'round_robin':
      return weighted ? new WeightedPicker(hosts, (host) => host.weight) : new RoundRobin(hosts);
    case 'least_request': {
      const bias = policy.activeRequestBias;
      return weighted ? new WeightedPicker(hosts, (host) => host.weight / (host.state.activeRequests + 1) ** bias) : new LeastRequest(hosts, policy.choiceCount);
    }
    case 'random':
    case 'cluster_provided':
      return new Uniform(hosts);
  }
}

/** In turn, from a random start. */
class RoundRobin implements HostPicker {
  readonly #hosts: readonly Host[];
  #at = -1;

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
  }

  next(random: Random): Host | null {
    const count = this.#hosts.length;
    if (count === 0) return null;
    this.#at = this.#at < 0 ? Math.floor(random.next() * count) : this.#at + 1 >= count ? 0 : this.#at + 1;
    return this.#hosts[this.#at] ?? null;
  }
}

/** Any host, each as likely: like Envoy's random policy, which does not look at weights. */
class Uniform implements HostPicker {
  readonly #hosts: readonly Host[];

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
  }

  next(random: Random): Host | null {
    return this.#hosts[Math.floor(random.next() * this.#hosts.length)] ?? null;
  }
}

/** The least busy of `choices` random hosts. */
class LeastRequest implements HostPicker {
  readonly #hosts: readonly Host[];
  readonly #choices: number;

  constructor(hosts: readonly Host[], choices: number) {
    this.#hosts = hosts;
    this.#choices = choices;
  }

  next(random: Random): Host | null {
    const count = this.#hosts.length;
    let best: Host | null = null;
    for (let i = 0; i < this.#choices; i++) {
      const host = this.#hosts[Math.floor(random.next() * count)] ?? null;
      if (host !== null && (best === null || host.state.activeRequests < best.state.activeRequests)) best = host;
    }
    return best;
  }
}

/** In proportion to weights that may change from turn to turn. */
class WeightedPicker implements HostPicker {
  readonly #hosts: readonly Host[];
  readonly #weightOf: (host: Host) => number;
  #schedule: EdfSchedule<Host> | null = null;

  constructor(hosts: readonly Host[], weightOf: (host: Host) => number) {
    this.#hosts = hosts;
    this.#weightOf = weightOf;
  }

  next(random: Random): Host | null {
    this.#schedule ??= this.#build(random);
    return this.#schedule.next(this.#weightOf);
  }

  #build(random: Random): EdfSchedule<Host> {
    const schedule = new EdfSchedule<Host>();
    for (const host of this.#hosts) schedule.add(host, host.weight, random.next());
    return schedule;
  }
}

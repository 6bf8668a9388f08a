import type { LbPolicy, SlowStart } from '@meltemi/snapshot';
import { EdfSchedule } from './edf.ts';
import type { Host } from './host.ts';
import type { BalanceParts, Draw } from './picker.ts';
import { slowStartEndMs, slowStartFactor } from './slow-start.ts';

/** Chooses within one list of hosts. @hot */
export interface HostPicker {
  next(draw: Draw): Host | null;
}

/** Policies that look at hosts only; those that hash are in hash-picker.ts. */
export type PlainPolicy = Extract<LbPolicy, { kind: 'round_robin' | 'least_request' | 'random' | 'cluster_provided' }>;

/** The picker of a policy over `hosts`. */
export function hostPicker(policy: PlainPolicy, hosts: readonly Host[], parts: BalanceParts): HostPicker {
  switch (policy.kind) {
    case 'round_robin':
      return scheduled(hosts, (host) => host.weight, () => new RoundRobin(hosts), policy.slowStart, parts);
    case 'least_request': {
      const { activeRequestBias: bias, choiceCount, fullScan } = policy;
      const weightOf = (host: Host) => (bias === 0 ? host.weight : host.weight / (host.state.activeRequests + 1) ** bias);
      return scheduled(hosts, weightOf, () => (fullScan ? new LeastOfAll(hosts) : new LeastRequest(hosts, choiceCount)), policy.slowStart, parts);
    }
    case 'random':
    case 'cluster_provided':
      return new Uniform(hosts);
  }
}

/** By weight where weights differ; `equal` where they do not. While hosts are new and start slowly, their weights differ. */
function scheduled(hosts: readonly Host[], weightOf: (host: Host) => number, equal: () => HostPicker, slowStart: SlowStart | null, parts: BalanceParts): HostPicker {
  const weighted = hosts.some((host) => host.weight !== hosts[0]?.weight);
  const steady = (): HostPicker => (weighted ? new WeightedPicker(hosts, weightOf) : equal());
  if (slowStart === null || parts.now() >= slowStartEndMs(slowStart, hosts)) return steady();
  return new SlowStartPicker(new WeightedPicker(hosts, (host) => weightOf(host) * slowStartFactor(slowStart, host, parts.now())), steady(), slowStartEndMs(slowStart, hosts), parts);
}

/** In turn, from a random start. */
class RoundRobin implements HostPicker {
  readonly #hosts: readonly Host[];
  #at = -1;

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
  }

  next({ random }: Draw): Host | null {
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

  next({ random }: Draw): Host | null {
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

  next({ random }: Draw): Host | null {
    const count = this.#hosts.length;
    let best: Host | null = null;
    for (let i = 0; i < this.#choices; i++) {
      const host = this.#hosts[Math.floor(random.next() * count)] ?? null;
      if (host !== null && (best === null || host.state.activeRequests < best.state.activeRequests)) best = host;
    }
    return best;
  }
}

/** The least busy of all; of several, any. */
class LeastOfAll implements HostPicker {
  readonly #hosts: readonly Host[];

  constructor(hosts: readonly Host[]) {
    this.#hosts = hosts;
  }

  next({ random }: Draw): Host | null {
    let best: Host | null = null;
    let ties = 0;
    for (let i = 0; i < this.#hosts.length; i++) {
      const host = this.#hosts[i];
      if (host === undefined) continue;
      const less = best === null ? -1 : host.state.activeRequests - best.state.activeRequests;
      if (less < 0) ties = 1;
      // Each of n equals ends up chosen with the same chance.
      else if (less > 0 || random.next() * ++ties >= 1) continue;
      best = host;
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

  next(draw: Draw): Host | null {
    this.#schedule ??= this.#build(draw);
    return this.#schedule.next(this.#weightOf);
  }

  #build({ random }: Draw): EdfSchedule<Host> {
    const schedule = new EdfSchedule<Host>();
    for (const host of this.#hosts) schedule.add(host, this.#weightOf(host), random.next());
    return schedule;
  }
}

/** One picker until the last host is past its window, another from then on. */
class SlowStartPicker implements HostPicker {
  readonly #starting: HostPicker;
  readonly #steady: HostPicker;
  readonly #untilMs: number;
  readonly #parts: BalanceParts;

  constructor(starting: HostPicker, steady: HostPicker, untilMs: number, parts: BalanceParts) {
    this.#starting = starting;
    this.#steady = steady;
    this.#untilMs = untilMs;
    this.#parts = parts;
  }

  next(draw: Draw): Host | null {
    return (this.#parts.now() < this.#untilMs ? this.#starting : this.#steady).next(draw);
  }
}

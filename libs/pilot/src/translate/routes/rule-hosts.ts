import type { VirtualService } from '../../push-context/virtual-services.ts';
import { hostsOverlap, mostSpecificHost } from '../../push-context/hosts.ts';
import type { Service } from '../../registry/model.ts';

/** What a rule is about on one port. */
export interface RuleHosts {
  readonly services: readonly Service[];
  /** Hosts of the rule that no service has. */
  readonly others: readonly string[];
}

/** Services of one port by hostname, with the wildcards apart, for they are few. */
export interface PortServices {
  readonly byHost: ReadonlyMap<string, Service>;
  readonly wildcards: readonly string[];
}

export function portServices(services: readonly Service[]): PortServices {
  const byHost = new Map(services.map((service) => [service.hostname.toLowerCase(), service]));
  return { byHost, wildcards: [...byHost.keys()].filter((host) => host.startsWith('*')) };
}

/** Whether any host of the rule is a service's here. */
export function concerns(rule: VirtualService, { byHost, wildcards }: PortServices): boolean {
  return rule.hosts.some((host) => byHost.has(host) || (host.startsWith('*') ? overlapping(byHost, host) : wildcards.some((wide) => hostsOverlap(wide, host))));
}

function overlapping(byHost: ReadonlyMap<string, Service>, wide: string): boolean {
  for (const host of byHost.keys()) if (hostsOverlap(wide, host)) return true;
  return false;
}

/** Splits a rule's hosts. Of the services that its wildcards cover it takes those that no rule is closer to. */
export function ruleHosts(rule: VirtualService, { byHost }: PortServices, owners: Owners): RuleHosts {
  const services: Service[] = [];
  const others: string[] = [];
  for (const host of rule.hosts) {
    const service = byHost.get(host);
    if (!host.startsWith('*')) {
      if (service) services.push(service);
      else others.push(host);
      continue;
    }
    const covered = [...byHost].filter(([name]) => hostsOverlap(host, name));
    if (covered.length === 0) others.push(host);
    for (const [name, found] of covered) if (owners.of(name) === rule) services.push(found);
  }
  return { services, others };
}

/** Which rule is closest to a service's name: its own, else that of the longest wildcard. Of rules with one host the first in order. Whether that rule has routes for the client does not matter. */
export class Owners {
  readonly #byHost = new Map<string, VirtualService>();
  readonly #wildcards: string[] = [];
  readonly #known = new Map<string, VirtualService | undefined>();

  constructor(rules: readonly VirtualService[]) {
    for (const rule of rules) {
      for (const host of rule.hosts) {
        if (this.#byHost.has(host)) continue;
        this.#byHost.set(host, rule);
        if (host.startsWith('*')) this.#wildcards.push(host);
      }
    }
  }

  of(hostname: string): VirtualService | undefined {
    if (this.#known.has(hostname)) return this.#known.get(hostname);
    const host = this.#byHost.has(hostname) ? hostname : mostSpecificHost(hostname, this.#wildcards);
    const owner = host === undefined ? undefined : this.#byHost.get(host);
    this.#known.set(hostname, owner);
    return owner;
  }
}

const owners = new WeakMap<readonly VirtualService[], Owners>();

/** The owners among `rules`, computed once per list. */
export function ownersAmong(rules: readonly VirtualService[]): Owners {
  const known = owners.get(rules) ?? new Owners(rules);
  owners.set(rules, known);
  return known;
}

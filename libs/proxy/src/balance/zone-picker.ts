import type { Locality } from '@meltemi/snapshot';
import type { Host } from './host.ts';
import type { HostPicker } from './host-pickers.ts';
import type { HostSet, LocalityHosts, PriorityHosts } from './host-set.ts';
import type { BalanceParts, Draw } from './picker.ts';

/** Where this proxy is, and the cluster of those who call as it does (cluster_manager.local_cluster_name). */
export interface LocalZone {
  readonly locality: Locality;
  /** Null while that cluster has no hosts to tell of. */
  hosts(): HostSet | null;
}

/** What a zone picker is built from. */
export interface ZoneParts {
  readonly parts: BalanceParts;
  readonly local: LocalZone;
  readonly zoneAware: { readonly routingPercent: number; readonly minClusterSize: number };
  readonly panicThreshold: number;
  readonly failTrafficOnPanic: boolean;
  /** Over all healthy hosts of the priority. */
  readonly everywhere: HostPicker;
  readonly pickerOf: (hosts: readonly Host[]) => HostPicker;
}

interface Zone {
  readonly picker: HostPicker;
  /** Running sum of what the zone can take from others. */
  readonly upTo: number;
}

/**
 * Envoy's zone aware routing for the first priority: requests stay in the proxy's own zone as far as the zone's share of the upstream's hosts
 * reaches for its share of the callers; the rest goes to zones that have more hosts than callers. Without two zones, a local cluster that
 * knows this zone and hosts enough, every host is as good as any. Shares are of healthy hosts, in ten thousandths.
 */
export function zonePicker(build: ZoneParts, priority: PriorityHosts): HostPicker {
  const { parts, local, zoneAware, everywhere, pickerOf } = build;
  const callers = local.hosts()?.priorities[0] ?? null;
  if (callers === null) return everywhere;
  parts.count('lb_recalculate_zone_structures');
  const zones = priority.localities.filter(({ all }) => all.length > 0);
  if (zones.length < 2) return everywhere;
  const here = zones.find((zone) => isIn(zone, local.locality));
  if (here === undefined || here.healthy.length === 0 || !callers.localities.some((zone) => zone.all.length > 0 && isIn(zone, local.locality))) {
    parts.count('lb_local_cluster_not_ok');
    return everywhere;
  }
  if (priority.healthy.length < zoneAware.minClusterSize) {
    parts.count('lb_zone_cluster_too_small');
    return everywhere;
  }
  if (inPanic(callers, build.panicThreshold)) return new CountingPicker(parts, build.failTrafficOnPanic ? nobody : everywhere);
  const share = (healthy: number, of: number) => (of === 0 ? 0 : Math.floor((10_000 * healthy) / of));
  const upstreamShare = (zone: LocalityHosts) => share(zone.healthy.length, priority.healthy.length);
  const callerShare = (zone: LocalityHosts) => share(callers.localities.reduce((sum, each) => sum + (sameZone(each, zone) ? each.healthy.length : 0), 0), callers.healthy.length);
  let upTo = 0;
  const others = zones.filter((zone) => zone !== here && zone.healthy.length > 0).map((zone): Zone => {
    upTo += Math.max(0, upstreamShare(zone) - callerShare(zone));
    return { picker: pickerOf(zone.healthy), upTo };
  });
  const stays = upstreamShare(here) >= callerShare(here) ? 1 : upstreamShare(here) / callerShare(here);
  return new ZonePicker(build, { here: pickerOf(here.healthy), others, stays });
}

function isIn({ all }: LocalityHosts, { region, zone, subZone }: Locality): boolean {
  const locality = all[0]?.endpoint.locality;
  return locality?.region === region && locality.zone === zone && locality.subZone === subZone;
}

function sameZone(a: LocalityHosts, b: LocalityHosts): boolean {
  const locality = b.all[0]?.endpoint.locality;
  return locality !== undefined && isIn(a, locality);
}

function inPanic({ all, healthy, degraded, excluded }: PriorityHosts, threshold: number): boolean {
  const total = all.length - excluded;
  return (total <= 0 ? 0 : (100 * (healthy.length + degraded.length)) / total) < threshold;
}

const nobody: HostPicker = { next: () => null };

/** The callers are in panic: their shares mean nothing. */
class CountingPicker implements HostPicker {
  readonly #parts: BalanceParts;
  readonly #picker: HostPicker;

  constructor(parts: BalanceParts, picker: HostPicker) {
    this.#parts = parts;
    this.#picker = picker;
  }

  next(draw: Draw): Host | null {
    this.#parts.count('lb_local_cluster_not_ok');
    return this.#picker.next(draw);
  }
}

interface Zones {
  readonly here: HostPicker;
  readonly others: readonly Zone[];
  /** Share of the requests that stay in this zone. */
  readonly stays: number;
}

/** @hot */
class ZonePicker implements HostPicker {
  readonly #parts: BalanceParts;
  readonly #routingShare: number;
  readonly #everywhere: HostPicker;
  readonly #zones: Zones;

  constructor({ parts, zoneAware, everywhere }: ZoneParts, zones: Zones) {
    this.#parts = parts;
    this.#routingShare = zoneAware.routingPercent / 100;
    this.#everywhere = everywhere;
    this.#zones = zones;
  }

  next(draw: Draw): Host | null {
    if (this.#routingShare < 1 && draw.random.next() >= this.#routingShare) return this.#everywhere.next(draw);
    const { here, others, stays } = this.#zones;
    if (stays === 1) {
      this.#parts.count('lb_zone_routing_all_directly');
      return here.next(draw);
    }
    if (draw.random.next() < stays) {
      this.#parts.count('lb_zone_routing_sampled');
      return here.next(draw);
    }
    this.#parts.count('lb_zone_routing_cross_zone');
    const room = others[others.length - 1]?.upTo ?? 0;
    if (room === 0) {
      this.#parts.count('lb_zone_no_capacity_left');
      return this.#everywhere.next(draw);
    }
    const at = draw.random.next() * room;
    for (let i = 0; i < others.length; i++) {
      const zone = others[i];
      if (zone !== undefined && at < zone.upTo) return zone.picker.next(draw);
    }
    return this.#everywhere.next(draw);
  }
}

import { Gauge, type Child } from './child.ts';
import { addChanges, cellsOf, type StatsDelta } from './delta.ts';
import type { Family, FamilySpec } from './family.ts';

interface Target {
  readonly child: Child;
  readonly family: Family;
  readonly values: readonly string[];
  /** What this worker has put into a gauge, to be taken out when it goes. */
  gauged: number;
}

/** What a merger needs of the registry it merges into. */
export interface MergeTarget {
  family(spec: FamilySpec): Family;
  /** Counts who feeds a series: it disappears when its last worker forgets it. */
  hold(child: Child): void;
  /** True when nobody holds it any more. */
  release(child: Child): boolean;
}

/** The receiving side for one worker: knows that worker's numbering. One per worker and life of it. */
export class DeltaMerger {
  readonly #into: MergeTarget;
  readonly #families = new Map<number, Family>();
  readonly #targets = new Map<number, Target>();

  constructor(into: MergeTarget) {
    this.#into = into;
  }

  /** Adds a delta; deltas must come in the order they were taken. Throws on numbers never announced: that is a bug of the sender. */
  merge(delta: StatsDelta): void {
    for (const { id, spec } of delta.families) this.#families.set(id, this.#into.family(spec));
    for (const { id, family, values } of delta.series) this.#announce(id, family, values);
    for (let offset = 0; offset < delta.values.length; ) {
      const target = this.#targets.get(delta.values[offset] ?? -1);
      if (!target) throw new Error(`delta names series ${delta.values[offset]}, which was never announced`);
      if (target.child instanceof Gauge) target.gauged += delta.values[offset + 1] ?? 0;
      addChanges(target.child, delta.values, offset + 1);
      offset += 1 + cellsOf(target.child);
    }
    for (const id of delta.removed) this.#forget(id);
  }

  /** The worker is gone: its share of every gauge goes with it, its counts stay. */
  retire(): void {
    for (const target of this.#targets.values()) if (target.gauged !== 0 && target.child instanceof Gauge) target.child.add(-target.gauged);
    for (const target of this.#targets.values()) this.#into.release(target.child);
    this.#targets.clear();
  }

  #announce(id: number, familyId: number, values: readonly string[]): void {
    const family = this.#families.get(familyId);
    if (!family) throw new Error(`delta names family ${familyId}, which was never announced`);
    const child = family.labels(...values);
    this.#into.hold(child);
    this.#targets.set(id, { child, family, values, gauged: 0 });
  }

  #forget(id: number): void {
    const target = this.#targets.get(id);
    if (!target) return;
    this.#targets.delete(id);
    if (target.gauged !== 0 && target.child instanceof Gauge) target.child.add(-target.gauged);
    if (this.#into.release(target.child)) target.family.remove(...target.values);
  }
}

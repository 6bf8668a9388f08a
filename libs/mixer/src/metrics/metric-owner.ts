import type { Attributes } from '../attributes/vocabulary.ts';

/** Two counters for one event, or none. */
export type Disagreement = 'both' | 'nobody';

export interface MetricOwnerOptions {
  /** This program counts the standard metrics. */
  readonly owns: boolean;
  /** Told once for each kind of disagreement, with the node id of the first reporter that shows it. */
  readonly onDisagreement: (kind: Disagreement, reporter: string) => void;
}

/**
 * Who counts: this program or the proxies, never both. Proxies say with every entry whether they counted it (`counted` in the peer metadata);
 * those that do not say, plain Envoys, count nothing.
 */
export class MetricOwner {
  readonly #options: MetricOwnerOptions;
  readonly #told = new Set<Disagreement>();

  constructor(options: MetricOwnerOptions) {
    this.#options = options;
  }

  /** True when the event is to be counted here. */
  mustCount(attributes: Attributes): boolean {
    const { owns } = this.#options;
    const counted = attributes.get('context.reporter.counted');
    if (owns && counted === true) this.#tell('both', attributes);
    if (!owns && counted === false) this.#tell('nobody', attributes);
    return owns && counted !== true;
  }

  #tell(kind: Disagreement, attributes: Attributes): void {
    if (this.#told.has(kind)) return;
    this.#told.add(kind);
    this.#options.onDisagreement(kind, String(attributes.get('context.reporter.uid') ?? ''));
  }
}

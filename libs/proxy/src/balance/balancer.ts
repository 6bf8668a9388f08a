import type { HostSet } from './host-set.ts';
import type { BalanceParts, Picker } from './picker.ts';
import { SetPicker, type BalanceConfig, type KnownPickers } from './set-picker.ts';
import { SubsetPicker } from './subset-picker.ts';
import type { LocalZone } from './zone-picker.ts';

/**
 * Makes the pickers of one cluster: a new one whenever its hosts are replaced or their health changes. What rests on lists of hosts that
 * stayed the same (tables of hashes, schedules, cursors) is kept. original_dst clusters have no set: their hosts are where clients went.
 */
export class Balancer {
  readonly #config: BalanceConfig;
  readonly #parts: BalanceParts;
  readonly #local: LocalZone | null;
  readonly #known: KnownPickers = new WeakMap();

  /** `local`: where the proxy is, for zone aware routing; null = anywhere. */
  constructor(config: BalanceConfig, parts: BalanceParts, local: LocalZone | null = null) {
    this.#config = config;
    this.#local = local;
    this.#parts = parts;
  }

  picker(set: HostSet): Picker {
    const { subsets } = this.#config;
    const shared = { config: this.#config, parts: this.#parts, known: this.#known, local: this.#local };
    return subsets === null ? new SetPicker(shared, set) : new SubsetPicker(shared, subsets, set);
  }
}

import type { HostSet } from './host-set.ts';
import type { BalanceParts, Picker } from './picker.ts';
import { SetPicker, type BalanceConfig, type KnownPickers } from './set-picker.ts';
import { SubsetPicker } from './subset-picker.ts';

/**
 * Makes the pickers of one cluster: a new one whenever its hosts are replaced or their health changes. What rests on lists of hosts that
 * stayed the same (tables of hashes, schedules, cursors) is kept. original_dst clusters have no set: their hosts are where clients went.
 */
export class Balancer {
  readonly #config: BalanceConfig;
  readonly #parts: BalanceParts;
  readonly #known: KnownPickers = new WeakMap();

  constructor(config: BalanceConfig, parts: BalanceParts) {
    this.#config = config;
    this.#parts = parts;
  }

  picker(set: HostSet): Picker {
    const { subsets } = this.#config;
    const shared = { config: this.#config, parts: this.#parts, known: this.#known };
    return subsets === null ? new SetPicker(shared, set) : new SubsetPicker(shared, subsets, set);
  }
}

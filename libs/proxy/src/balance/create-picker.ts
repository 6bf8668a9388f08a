import type { HostSet } from './host-set.ts';
import type { Picker } from './picker.ts';
import { SetPicker, type BalanceConfig } from './set-picker.ts';
import { SubsetPicker } from './subset-picker.ts';

/** A picker over the hosts of `set`; make a new one whenever the set is replaced. original_dst clusters have no set: their hosts are where clients went. */
export function createPicker(config: BalanceConfig, set: HostSet): Picker {
  return config.subsets === null ? new SetPicker(config, set) : new SubsetPicker(config, config.subsets, set);
}

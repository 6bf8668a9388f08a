export { Host, type HostState } from './host.ts';
export { emptyHostSet, HostStore, type HostSet, type LocalityHosts, type PriorityHosts } from './host-set.ts';
export type { PickContext, Picker } from './picker.ts';
export { createPicker } from './create-picker.ts';
export type { BalanceConfig } from './set-picker.ts';
export { priorityLoad, type PriorityLoad } from './priority-load.ts';

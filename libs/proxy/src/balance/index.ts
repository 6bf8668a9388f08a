export { Host, newHostState, type HostState } from './host.ts';
export { emptyHostSet, healthOf, HostStore, type HostLists, type HostSet, type LocalityHosts, type PriorityHosts } from './host-set.ts';
export { plainPick, type BalanceParts, type LbStat, type PickContext, type Picker } from './picker.ts';
export { Balancer } from './balancer.ts';
export type { LocalZone } from './zone-picker.ts';
export type { BalanceConfig } from './set-picker.ts';
export { priorityLoad, type PriorityLoad } from './priority-load.ts';
export { keepPassing } from './leaving-hosts.ts';

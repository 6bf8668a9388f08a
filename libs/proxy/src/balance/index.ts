export { Host, type HostState } from './host.ts';
export type { PickContext, Picker } from './picker.ts';

import type { WorkloadSelector } from '../types.ts';
import type { WorkloadEntrySpec } from '../workload-entry/types.ts';

export type ServiceEntryResolution = 'NONE' | 'STATIC' | 'DNS' | 'DNS_ROUND_ROBIN' | 'DYNAMIC_DNS';

/** networking.istio.io ServiceEntry. */
export interface ServiceEntrySpec {
  readonly hosts: readonly string[];
  /** IPs or CIDR blocks. */
  readonly addresses: readonly string[];
  readonly ports: readonly ServiceEntryPort[];
  readonly location: 'MESH_EXTERNAL' | 'MESH_INTERNAL';
  readonly resolution: ServiceEntryResolution;
  readonly endpoints: readonly WorkloadEntrySpec[];
  readonly workloadSelector?: WorkloadSelector;
  readonly exportTo: readonly string[];
  readonly subjectAltNames: readonly string[];
}

export interface ServiceEntryPort {
  readonly number: number;
  readonly protocol: string;
  readonly name: string;
  /** 0: `number`. */
  readonly targetPort: number;
}

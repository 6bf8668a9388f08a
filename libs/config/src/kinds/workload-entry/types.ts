import type { StringMap } from '../types.ts';

/** networking.istio.io WorkloadEntry, and an endpoint of a ServiceEntry. */
export interface WorkloadEntrySpec {
  /** IP, DNS name or unix:///path; "" only with `network`. */
  readonly address: string;
  /** Service port name → port of the workload. */
  readonly ports: Readonly<Record<string, number>>;
  readonly labels: StringMap;
  readonly network: string;
  /** region/zone/subzone. */
  readonly locality: string;
  /** 0: as if 1. */
  readonly weight: number;
  readonly serviceAccount: string;
}

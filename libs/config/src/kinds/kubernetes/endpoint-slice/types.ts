import type { StringMap } from '../../types.ts';
import type { EndpointPort, ObjectReference } from '../endpoints/types.ts';

/** The fields of a Kubernetes EndpointSlice (it has no spec); its Service is the label kubernetes.io/service-name. */
export interface EndpointSliceSpec {
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly endpoints: readonly SliceEndpoint[];
  readonly ports: readonly EndpointPort[];
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  /** Absent ready means true (the Kubernetes API says so). */
  readonly conditions: { readonly ready: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly hostname: string;
  readonly nodeName: string;
  readonly zone: string;
  readonly targetRef?: ObjectReference;
  readonly deprecatedTopology: StringMap;
}

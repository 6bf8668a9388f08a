/** The fields of Kubernetes Endpoints (it has no spec). */
export interface EndpointsSpec {
  readonly subsets: readonly EndpointsSubset[];
}

export interface EndpointsSubset {
  readonly addresses: readonly EndpointAddress[];
  readonly notReadyAddresses: readonly EndpointAddress[];
  readonly ports: readonly EndpointPort[];
}

export interface EndpointAddress {
  readonly ip: string;
  readonly hostname: string;
  readonly nodeName: string;
  readonly targetRef?: ObjectReference;
}

/** `name` is the Service port's. */
export interface EndpointPort {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly appProtocol?: string;
}

export interface ObjectReference {
  readonly kind: string;
  readonly name: string;
  readonly namespace: string;
}

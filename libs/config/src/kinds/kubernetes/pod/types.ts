/** What Meltemi reads of a Kubernetes Pod: spec and the parts of status that say where and how it is. */
export interface PodSpec {
  /** Default "default". */
  readonly serviceAccountName: string;
  readonly nodeName: string;
  readonly hostname: string;
  readonly subdomain: string;
  readonly hostNetwork: boolean;
  readonly containers: readonly PodContainer[];
  readonly status: PodStatus;
}

export interface PodContainer {
  readonly name: string;
  readonly image: string;
  readonly ports: readonly ContainerPort[];
}

export interface ContainerPort {
  readonly name: string;
  readonly containerPort: number;
  readonly protocol: string;
}

export interface PodStatus {
  /** "" when the object carries no status. */
  readonly phase: string;
  readonly podIP: string;
  readonly podIPs: readonly string[];
  /** The Ready condition; true when the object carries no conditions, as a Pod written by hand does. */
  readonly ready: boolean;
}

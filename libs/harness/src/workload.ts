import { randomBytes } from 'node:crypto';
import type { Deployment } from './manifests.ts';

/** One pod of a laptop mesh: an application and its sidecar, or a gateway alone. */
export interface Workload {
  readonly podName: string;
  readonly deployment: Deployment;
  readonly gateway: boolean;
  /** The pod's address: its sidecar (or the gateway) listens here. */
  readonly address: string;
  /** Where the application listens; its sidecar alone calls it there. */
  readonly appAddress: string;
}

const templates = 'inject.istio.io/templates';

/** A gateway is a Deployment that asks for Istio's gateway injection: by the annotation for its template, or by the image `auto`. */
export function isGateway({ annotations, container }: Deployment): boolean {
  return annotations[templates] === 'gateway' || container.image === 'auto';
}

export function podName(deployment: Deployment): string {
  return `${deployment.name}-${randomBytes(3).toString('hex')}`;
}

/** The Pod as Kubernetes would show it: what the registry computes endpoints from. JSON is YAML too. */
export function podObject(workload: Workload, ready: boolean): string {
  const { deployment } = workload;
  const { [templates]: _asked, ...annotations } = deployment.annotations;
  return `${JSON.stringify({
    apiVersion: 'v1', kind: 'Pod',
    metadata: { name: workload.podName, namespace: deployment.namespace, labels: { ...deployment.labels, 'security.istio.io/tlsMode': 'istio' }, annotations },
    spec: {
      serviceAccountName: deployment.serviceAccount,
      containers: [{ name: deployment.container.name, image: deployment.container.image === 'auto' ? 'meltemi/proxy' : deployment.container.image, ports: deployment.container.ports }],
    },
    status: { phase: 'Running', podIP: workload.address, podIPs: [{ ip: workload.address }], conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }] },
  }, null, 2)}\n`;
}

/** The proxy's flags and environment for this workload: what Istio's injector would set. */
export function proxyIdentity(workload: Workload): { serviceNode: string; env: Readonly<Record<string, string>> } {
  const { deployment } = workload;
  const type = workload.gateway ? 'router' : 'sidecar';
  return {
    serviceNode: `${type}~${workload.address}~${workload.podName}.${deployment.namespace}~${deployment.namespace}.svc.cluster.local`,
    env: {
      ISTIO_META_NAME: workload.podName,
      ISTIO_META_NAMESPACE: deployment.namespace,
      ISTIO_META_SERVICE_ACCOUNT: deployment.serviceAccount,
      ISTIO_META_WORKLOAD_NAME: deployment.name,
      ISTIO_META_CLUSTER_ID: 'Kubernetes',
      ISTIO_META_INTERCEPTION_MODE: 'NONE',
      ISTIO_META_MELTEMI_APP_ADDRESS: workload.appAddress,
      ISTIO_METAJSON_LABELS: JSON.stringify(deployment.labels),
    },
  };
}

import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How big the mesh is. */
export interface MeshSize {
  readonly services: number;
  readonly endpoints: number;
}

/** Services of a file: enough that there are few files, little enough that each is small. */
const servicesPerFile = 20;

/** Writes Services with selectors and their Pods into `dir`, as Kubernetes would show them. */
export function writeMesh(dir: string, { services, endpoints }: MeshSize): void {
  mkdirSync(dir, { recursive: true });
  for (let first = 0; first < services; first += servicesPerFile) {
    const objects: unknown[] = [];
    for (let service = first; service < Math.min(services, first + servicesPerFile); service++) {
      objects.push(serviceObject(service));
      for (let index = 0; index < endpoints; index++) objects.push(podObject(service, `${index}`, `10.${1 + (service >> 8)}.${service & 255}.${index + 1}`));
    }
    writeFileSync(join(dir, `services-${first}.yaml`), objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  }
}

/** One more Pod of service 0 in a directory of its own; written again with another address, it is one endpoint change. */
export function writeChangingPod(dir: string, generation: number): string {
  mkdirSync(dir, { recursive: true });
  const address = `10.200.${(generation >> 8) & 255}.${generation & 255}`;
  writeFileSync(join(dir, 'pod.tmp'), JSON.stringify(podObject(0, 'changing', address)));
  renameSync(join(dir, 'pod.tmp'), join(dir, 'pod.yaml'));
  return address;
}

function serviceObject(service: number): unknown {
  return {
    apiVersion: 'v1', kind: 'Service', metadata: { name: `svc-${service}`, namespace: 'default' },
    spec: { selector: { app: `svc-${service}` }, clusterIP: `10.100.${service >> 8}.${service & 255}`, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  };
}

function podObject(service: number, suffix: string, podIP: string): unknown {
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: { name: `svc-${service}-${suffix}`, namespace: 'default', labels: { app: `svc-${service}`, version: 'v1', 'security.istio.io/tlsMode': 'istio' } },
    spec: { serviceAccountName: `svc-${service}`, containers: [{ name: 'app', image: 'app', ports: [{ containerPort: 8080 }] }] },
    status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

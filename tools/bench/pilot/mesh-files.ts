import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** How big the mesh is. */
export interface MeshSize {
  readonly services: number;
  readonly endpoints: number;
  /** VirtualServices, and as many DestinationRules with two subsets each. */
  readonly rules: number;
  /** Services, rules and clients are spread over so many; of one it is "default". */
  readonly namespaces: number;
}

/** Where the service, rule or client of a number is. */
export function namespaceOf(number: number, namespaces: number): string {
  return namespaces === 1 ? 'default' : `ns-${number % namespaces}`;
}

/** Services of a file: enough that there are few files, little enough that each is small. */
const servicesPerFile = 20;
const rulesPerFile = 100;

/** Writes Services with selectors and their Pods into `dir`, as Kubernetes would show them, and rules for them. */
export function writeMesh(dir: string, size: MeshSize): void {
  const { services, endpoints, rules } = size;
  mkdirSync(dir, { recursive: true });
  for (let first = 0; first < services; first += servicesPerFile) {
    const objects: unknown[] = [];
    for (let service = first; service < Math.min(services, first + servicesPerFile); service++) {
      objects.push(serviceObject(service, size));
      for (let index = 0; index < endpoints; index++) objects.push(podObject({ service, suffix: `${index}`, podIP: `10.${1 + (service >> 8)}.${service & 255}.${index + 1}` }, size));
    }
    write(dir, `services-${first}`, objects);
  }
  for (let first = 0; first < rules; first += rulesPerFile) {
    const objects = Array.from({ length: Math.min(rulesPerFile, rules - first) }, (_, index) => [routeObject(first + index, size), destinationRuleObject(first + index, size)]);
    write(dir, `rules-${first}`, objects.flat());
  }
}

/** One more Pod of service 0 in a directory of its own; written again with another address, it is one endpoint change. */
export function writeChangingPod(dir: string, generation: number, size: Pick<MeshSize, 'namespaces'>): string {
  const address = `10.200.${(generation >> 8) & 255}.${generation & 255}`;
  replace(dir, 'pod.yaml', podObject({ service: 0, suffix: 'changing', podIP: address }, size));
  return address;
}

/** A VirtualService for service 1's second name; written again with other weights, it is one change of routes. */
export function writeChangingRoute(dir: string, generation: number, { namespaces }: Pick<MeshSize, 'namespaces'>): void {
  const weight = 1 + (generation % 98);
  const destination = (subset: string, share: number) => ({ destination: { host: 'svc-1', subset }, weight: share });
  replace(dir, 'route.yaml', { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: 'changing', namespace: namespaceOf(1, namespaces) }, spec: { hosts: ['changing.example.com'], http: [{ route: [destination('v1', weight), destination('v2', 100 - weight)] }] } });
}

function replace(dir: string, name: string, object: unknown): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, `.${name}.tmp`), JSON.stringify(object));
  renameSync(join(dir, `.${name}.tmp`), join(dir, name));
}

function write(dir: string, name: string, objects: readonly unknown[]): void {
  writeFileSync(join(dir, `${name}.yaml`), objects.map((object) => JSON.stringify(object)).join('\n---\n'));
}

function serviceObject(service: number, { namespaces }: MeshSize): unknown {
  return {
    apiVersion: 'v1', kind: 'Service', metadata: { name: `svc-${service}`, namespace: namespaceOf(service, namespaces) },
    spec: { selector: { app: `svc-${service}` }, clusterIP: `10.${100 + (service >> 16)}.${(service >> 8) & 255}.${service & 255}`, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
  };
}

function podObject({ service, suffix, podIP }: { readonly service: number; readonly suffix: string; readonly podIP: string }, { namespaces }: Pick<MeshSize, 'namespaces'>): unknown {
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: { name: `svc-${service}-${suffix}`, namespace: namespaceOf(service, namespaces), labels: { app: `svc-${service}`, version: Number(suffix) % 2 === 1 ? 'v2' : 'v1', 'security.istio.io/tlsMode': 'istio' } },
    spec: { serviceAccountName: `svc-${service}`, containers: [{ name: 'app', image: 'app', ports: [{ containerPort: 8080 }] }] },
    status: { phase: 'Running', podIP, podIPs: [{ ip: podIP }], conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** Of more rules than services, the later ones route hosts that are no service. */
function hostOf(rule: number, services: number): string {
  return rule < services ? `svc-${rule}` : `route-${rule}.example.com`;
}

function routeObject(rule: number, { services, namespaces }: MeshSize): unknown {
  const host = `svc-${rule % services}`;
  const destination = (subset: string, weight: number) => ({ destination: { host, subset }, weight });
  return {
    apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: `rule-${rule}`, namespace: namespaceOf(rule % services, namespaces) },
    spec: { hosts: [hostOf(rule, services)], http: [{ match: [{ headers: { 'x-version': { exact: 'v2' } } }], route: [{ destination: { host, subset: 'v2' } }] }, { route: [destination('v1', 90), destination('v2', 10)], timeout: '5s' }] },
  };
}

function destinationRuleObject(rule: number, { services, namespaces }: MeshSize): unknown {
  return {
    apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: `rule-${rule}`, namespace: namespaceOf(rule % services, namespaces) },
    spec: { host: hostOf(rule, services), trafficPolicy: { loadBalancer: { simple: 'LEAST_REQUEST' } }, subsets: ['v1', 'v2'].map((version) => ({ name: version, labels: { version } })) },
  };
}

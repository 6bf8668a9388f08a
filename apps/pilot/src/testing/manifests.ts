/** A service "reviews" with two versions, as plain Kubernetes YAML. */
export const reviews = `
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  ports: [{name: http, port: 9080}]
  selector: {app: reviews}
---
${pod('reviews-v1-0', '10.0.0.1', 'v1')}
---
${pod('reviews-v2-0', '10.0.0.2', 'v2')}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
`;

function pod(name: string, ip: string, version: string): string {
  return `apiVersion: v1
kind: Pod
metadata: {name: ${name}, namespace: default, labels: {app: reviews, version: ${version}}}
spec: {serviceAccountName: default, containers: [{name: app, image: app, ports: [{containerPort: 9080}]}]}
status: {phase: Running, podIP: ${ip}, podIPs: [{ip: ${ip}}], conditions: [{type: Ready, status: "True"}]}`;
}

/** A VirtualService that sends a host (the name's) to one subset of reviews. */
export function route(subset: string, name = 'reviews'): string {
  return `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ${name}, namespace: default}
spec:
  hosts: [${name}]
  http:
  - route: [{destination: {host: reviews, subset: ${subset}}}]
`;
}

/** The same with a mistake in it. */
export const badRoute = route('v2').replace('http:', 'htttp:');

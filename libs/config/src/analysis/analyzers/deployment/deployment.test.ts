import { cases, documents, object } from '../../testing/cases.ts';
import { applicationUid } from './application-uid.ts';
import { deploymentServices } from './services.ts';

const cart = (labels = '{app: cart}', metadata = '{name: cart}') => object('apps/v1', 'Deployment', metadata, `spec: {selector: {}, template: {metadata: {labels: ${labels}}, spec: {containers: [{name: a, image: b}]}}}`);
const inMesh = "{app: cart, sidecar.istio.io/inject: 'true'}";
const service = (name: string, port: string, selector = '{app: cart}', namespace = 'default') => object('v1', 'Service', `{name: ${name}, namespace: ${namespace}}`, `spec: {selector: ${selector}, ports: [${port}]}`);

cases(deploymentServices, {
  'one port as TCP and UDP': { yaml: documents(cart(inMesh), service('a', '{port: 53}'), service('b', '{port: 53, protocol: UDP}')), finds: [['IST0116 Deployment cart.default', 3, /"default\/a" and "default\/b".*port 53/]] },
  'one target port through two ports': { yaml: documents(cart(inMesh), service('a', '{port: 80, targetPort: 8080}'), service('b', '{port: 81, targetPort: 8080}')), finds: [['IST0137 Deployment cart.default', 3, /target port "8080".*80, 81/]] },
  'a target port that is left out is the port': { yaml: documents(cart(inMesh), service('a', '{port: 80}'), service('b', '{port: 81, targetPort: 80}')), finds: [['IST0137 Deployment cart.default', 3, /"80"/]] },
  'the same port twice': { yaml: documents(cart(inMesh), service('a', '{port: 80, targetPort: web}'), service('b', '{port: 80, targetPort: web}')), finds: [] },
  'services of other namespaces, and without a selector': { yaml: documents(cart(inMesh), service('a', '{port: 53}'), service('b', '{port: 53, protocol: UDP}', '{app: cart}', 'shop'), service('c', '{port: 53, protocol: UDP}', '{}')), finds: [] },
  'a deployment outside of the mesh': { yaml: documents(cart(), service('a', '{port: 53}'), service('b', '{port: 53, protocol: UDP}')), finds: [] },
  'a waypoint': { yaml: documents(cart(inMesh, '{name: cart, labels: {gateway.istio.io/managed: istio.io-mesh-controller}}'), service('a', '{port: 53}'), service('b', '{port: 53, protocol: UDP}')), finds: [] },
});

const pod = (spec: string, metadata = '{name: a}') => object('v1', 'Pod', metadata, `spec: ${spec}`);

cases(applicationUid, {
  'a pod': { yaml: pod('{securityContext: {runAsUser: 1337}, containers: [{name: a}]}'), finds: [['IST0144 Pod a.default', 4, /1337/]] },
  'a container': { yaml: pod('{containers: [{name: a, securityContext: {runAsUser: 1337}}]}'), finds: [['IST0144 Pod a.default', 4, /1337/]] },
  'a deployment': { yaml: object('apps/v1', 'Deployment', '{name: a}', 'spec: {selector: {}, template: {spec: {containers: [{name: a, securityContext: {runAsUser: 1337}}]}}}'), finds: [['IST0144 Deployment a.default', 4, /1337/]] },
  'the sidecar itself': { yaml: pod('{containers: [{name: istio-proxy, securityContext: {runAsUser: 1337}}]}'), finds: [] },
  'the control plane': { yaml: pod('{securityContext: {runAsUser: 1337}, containers: [{name: a}]}', '{name: a, labels: {istio: pilot}}'), finds: [] },
  'another user': { yaml: pod('{securityContext: {runAsUser: 1000}, containers: [{name: a}]}'), finds: [] },
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../decode.ts';
import { destinationRule } from '../kinds/destination-rule/kind.ts';
import { kubeService } from '../kinds/kubernetes/service/kind.ts';
import { isOfKind } from '../kinds/registry.ts';
import { virtualService } from '../kinds/virtual-service/kind.ts';
import { parseYamlDocuments } from './parse.ts';
import { validateDocuments } from './validate.ts';

// Manifests shaped like those of the well-known sample: a Service, a ServiceAccount and a Deployment per version for each application.
const apps = { details: ['v1'], ratings: ['v1'], reviews: ['v1', 'v2', 'v3'], productpage: ['v1'] };

const service = (app: string): string => `apiVersion: v1
kind: Service
metadata:
  name: ${app}
  labels: {app: ${app}, service: ${app}}
spec:
  ports:
  - port: 9080
    name: http
  selector:
    app: ${app}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: bookinfo-${app}
  labels:
    account: ${app}
---
`;

const deployment = (app: string, version: string): string => `apiVersion: apps/v1
kind: Deployment
metadata:
  name: ${app}-${version}
  labels: {app: ${app}, version: ${version}}
spec:
  replicas: 1
  selector:
    matchLabels: {app: ${app}, version: ${version}}
  template:
    metadata:
      labels: {app: ${app}, version: ${version}}
      annotations:
        prometheus.io/port: "9080"
    spec:
      serviceAccountName: bookinfo-${app}
      containers:
      - name: ${app}
        image: example.com/bookinfo-${app}-${version}:1
        imagePullPolicy: IfNotPresent
        ports:
        - containerPort: 9080
        env:
        - {name: LOG_DIR, value: /tmp/logs}
        volumeMounts:
        - {name: tmp, mountPath: /tmp}
      volumes:
      - name: tmp
        emptyDir: {}
---
`;

const manifests = Object.entries(apps).map(([app, versions]) => `####\n# ${app}\n####\n${service(app)}${versions.map((version) => deployment(app, version)).join('')}`).join('');

const tasks = `apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: bookinfo-gateway}
spec:
  selector: {istio: ingressgateway}
  servers:
  - port: {number: 8080, name: http, protocol: HTTP}
    hosts: ["*"]
---
apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {name: bookinfo}
spec:
  hosts: ["*"]
  gateways: [bookinfo-gateway]
  http:
  - match:
    - uri: {exact: /productpage}
    - uri: {prefix: /static}
    - uri: {exact: /login}
    route:
    - destination: {host: productpage, port: {number: 9080}}
---
apiVersion: networking.istio.io/v1beta1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings}
spec:
  hosts: [ratings]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    fault:
      delay: {percentage: {value: 100.0}, fixedDelay: 7s}
      abort: {percentage: {value: 50}, httpStatus: 500}
    route: [{destination: {host: ratings, subset: v1}}]
  - route: [{destination: {host: ratings, subset: v1}, weight: 80}, {destination: {host: ratings, subset: v2}, weight: 20}]
    timeout: 0.5s
    mirror: {host: ratings, subset: v2}
    mirrorPercentage: {value: 100}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: tcp-echo}
spec:
  hosts: ["*"]
  gateways: [tcp-echo-gateway]
  tcp:
  - match: [{port: 31400}]
    route: [{destination: {host: tcp-echo, port: {number: 9000}, subset: v1}, weight: 80}, {destination: {host: tcp-echo, port: {number: 9000}, subset: v2}, weight: 20}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec:
  mtls: {mode: STRICT}
`;

test('manifests and routing tasks shaped like Bookinfo are valid without a warning', () => {
  const entries = [...validateDocuments(manifests, 'bookinfo.yaml'), ...validateDocuments(tasks, 'tasks.yaml')];
  assert.equal(entries.length, 4 * 2 + 6 + 6);
  for (const entry of entries) assert.deepEqual([entry.errors, entry.warnings], [[], []], `${entry.kind} ${entry.name}`);
});

test('decoded, they are ready to translate: durations in milliseconds, defaults filled in', () => {
  const configs = [manifests, tasks].flatMap((text) =>
    parseYamlDocuments(text, 'a').documents.flatMap(({ raw }) => {
      const result = raw && decode(raw);
      return result?.ok === true ? [result.value.config] : [];
    }),
  );
  const ratings = configs.find((config) => isOfKind(config, virtualService) && config.key.name === 'ratings');
  assert.ok(ratings && isOfKind(ratings, virtualService));
  assert.equal(ratings.spec.http[0]?.fault?.delay?.fixedDelay, 7000);
  assert.equal(ratings.spec.http[1]?.timeout, 500);
  assert.deepEqual(ratings.spec.http[1]?.match, []);
  const reviews = configs.find((config) => isOfKind(config, destinationRule));
  assert.ok(reviews && isOfKind(reviews, destinationRule));
  assert.deepEqual(reviews.spec.subsets.map((subset) => subset.labels), [{ version: 'v1' }, { version: 'v2' }]);
  const services = configs.filter((config) => isOfKind(config, kubeService));
  assert.deepEqual(services.map((config) => isOfKind(config, kubeService) && config.spec.ports[0]?.targetPort), [9080, 9080, 9080, 9080]);
});

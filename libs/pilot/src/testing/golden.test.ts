import { after, test } from 'node:test';
import type { Config } from '@meltemi/config';
import { xdsType } from '@meltemi/xds';
import type { PushContext } from '../push-context/push-context.ts';
import type { Proxy } from '../proxy/proxy.ts';
import { translate } from '../translate/translate.ts';
import { matchGolden, noStaleGolden } from './golden.test-support.ts';
import { bookinfo, configsOf, ingressGateway, jsonOf, meshOf, productpage, proxyOf, sample } from './mesh.test-support.ts';

after(noStaleGolden);

const rules = () => sample('bookinfo/networking/destination-rule-all.yaml');

function everything(push: PushContext, proxy: Proxy): Record<string, unknown> {
  return Object.fromEntries(
    (['listener', 'route', 'cluster', 'endpoint'] as const).map((type) => [type, jsonOf(translate(push, proxy, { typeUrl: xdsType[type] }))]),
  );
}

function routesOnly(configs: readonly Config[], proxy: Proxy, names?: readonly string[]): unknown {
  return jsonOf(translate(meshOf(configs), proxy, { typeUrl: xdsType.route, names }));
}

test('Bookinfo without rules, an intercepting sidecar: everything it gets', () => {
  matchGolden('bookinfo-sidecar', everything(meshOf(bookinfo()), productpage()));
});

test('Bookinfo on a shared machine without interception, with access logs to a mesh service', () => {
  const extra = configsOf('apiVersion: v1\nkind: Service\nmetadata: {name: telemetry, namespace: istio-system}\nspec: {ports: [{name: grpc-als, port: 15030}]}');
  const push = meshOf([...bookinfo(), ...laptopPod(), ...extra, ...rules()], { proxyHttpPort: 15002, enableEnvoyAccessLogService: true, defaultConfig: { ...meshOf([]).mesh.defaultConfig, envoyAccessLogService: { address: 'telemetry.istio-system.svc.cluster.local:15030' } } });
  const proxy = proxyOf('sidecar~127.0.1.7~ratings-laptop.default~default.svc.cluster.local', { NAMESPACE: 'default', MELTEMI_VERSION: '0.1.0', INTERCEPTION_MODE: 'NONE', MELTEMI_APP_ADDRESS: '127.0.2.7', LABELS: { app: 'ratings', version: 'v1' } });
  matchGolden('bookinfo-laptop', everything(push, proxy));
});

function laptopPod(): Config[] {
  return configsOf('apiVersion: v1\nkind: Pod\nmetadata: {name: ratings-laptop, labels: {app: ratings, version: v1, security.istio.io/tlsMode: istio}}\nspec: {serviceAccountName: bookinfo-ratings, containers: [{name: app, image: app}]}\nstatus: {phase: Running, podIP: 127.0.1.7}');
}

for (const task of [
  'virtual-service-all-v1', 'virtual-service-reviews-test-v2', 'virtual-service-ratings-test-delay', 'virtual-service-ratings-test-abort', 'virtual-service-reviews-50-v3',
  'virtual-service-reviews-90-10', 'virtual-service-reviews-timeout', 'virtual-service-reviews-mirror-v3', 'virtual-service-details-direct-response', 'virtual-service-details-redirect',
  'virtual-service-details-rewrite', 'virtual-service-details-headers', 'virtual-service-ratings-retries',
]) {
  test(`the task ${task}: productpage's routes`, () => {
    matchGolden(task, routesOnly([...bookinfo(), ...rules(), ...sample(`bookinfo/networking/${task}.yaml`)], productpage(), ['9080']));
  });
}

test('Bookinfo through the ingress gateway', () => {
  matchGolden('bookinfo-gateway', everything(meshOf([...bookinfo(), ...sample('bookinfo/networking/bookinfo-gateway.yaml')]), ingressGateway()));
});

test('TCP by weight through the gateway', () => {
  const configs = [...bookinfo(), ...sample('tcp-echo/tcp-echo-services.yaml'), ...sample('tcp-echo/tcp-echo-all-v1.yaml').filter((config) => config.key.kind !== 'VirtualService'), ...sample('tcp-echo/tcp-echo-20-v2.yaml')];
  matchGolden('tcp-echo-gateway', jsonOf(translate(meshOf(configs), ingressGateway(), { typeUrl: xdsType.listener })));
});

test('cross-origin requests, query, method and source matches', () => {
  const configs = configsOf(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details}
spec:
  hosts: [details]
  http:
  - match:
    - {uri: {exact: /a}, method: {exact: GET}, queryParams: {q: {regex: "[0-9]+"}}, sourceLabels: {app: productpage}}
    - {uri: {exact: /never}, sourceLabels: {app: other}}
    corsPolicy: {allowOrigins: [{exact: https://example.com}], allowMethods: [GET, POST], allowHeaders: [x-a], maxAge: 24h, allowCredentials: true}
    route: [{destination: {host: details}}]
  - match: [{withoutHeaders: {x-b: {}, x-c: {exact: "1"}}, headers: {x-d: {}}}]
    route: [{destination: {host: details}}]
`);
  matchGolden('cors-and-matches', routesOnly([...bookinfo(), ...configs], productpage(), ['9080']));
});

for (const mode of ['STRICT', 'PERMISSIVE', 'DISABLE']) {
  test(`PeerAuthentication ${mode}: who may connect`, () => {
    const policy = configsOf(`apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: default, namespace: istio-system}\nspec: {mtls: {mode: ${mode}}}`);
    const names = ['virtualInbound'];
    matchGolden(`peer-authentication-${mode.toLowerCase()}`, jsonOf(translate(meshOf([...bookinfo(), ...policy]), productpage(), { typeUrl: xdsType.listener, names })));
  });
}

test('a gateway terminating TLS, redirecting to it, and passing it through', () => {
  const configs = configsOf(`
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: gw, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["bookinfo.example"], tls: {httpsRedirect: true}}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ["default/bookinfo.example"], tls: {mode: SIMPLE, credentialName: bookinfo-cert}}
  - {port: {number: 443, name: mutual, protocol: HTTPS}, hosts: ["mutual.example"], tls: {mode: MUTUAL, serverCertificate: /c/cert.pem, privateKey: /c/key.pem, caCertificates: /c/ca.pem}}
  - {port: {number: 443, name: tls, protocol: TLS}, hosts: ["pass.example"], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bookinfo}
spec:
  hosts: ["bookinfo.example"]
  gateways: [istio-system/gw]
  http: [{route: [{destination: {host: productpage, port: {number: 9080}}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pass}
spec:
  hosts: ["pass.example"]
  gateways: [istio-system/gw]
  tls: [{match: [{sniHosts: [pass.example]}], route: [{destination: {host: productpage, port: {number: 9080}}}]}]
`);
  const push = meshOf([...bookinfo(), ...configs]);
  matchGolden('gateway-tls', { listener: jsonOf(translate(push, ingressGateway(), { typeUrl: xdsType.listener })), route: jsonOf(translate(push, ingressGateway(), { typeUrl: xdsType.route })) });
});

test('a laptop workload reaches TCP services through Sidecar egress listeners, each on an address of 127.0.0.0/8 of its own', () => {
  const service = (name: string, port: number) => `---\napiVersion: v1\nkind: Service\nmetadata: {name: ${name}}\nspec: {ports: [{name: tcp, port: ${port}, targetPort: 7017}], selector: {app: ${name}}}\n`;
  const configs = configsOf(`${service('mongo', 27017)}${service('backup', 9000)}---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client}
spec:
  workloadSelector: {labels: {app: client}}
  egress:
  - {bind: 127.0.3.1, port: {number: 27017, name: mongo, protocol: MONGO}, hosts: [./mongo.default.svc.cluster.local]}
  - {bind: 127.0.3.2, port: {number: 9000, name: tcp, protocol: TCP}, hosts: [./backup.default.svc.cluster.local]}
  - {hosts: ["./*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: backup}
spec: {hosts: [backup], tcp: [{route: [{destination: {host: backup, subset: v1}, weight: 80}, {destination: {host: backup, subset: v2}, weight: 20}]}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: backup}
spec: {host: backup, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
`);
  const proxy = proxyOf('sidecar~127.0.1.7~client-laptop.default~default.svc.cluster.local', { NAMESPACE: 'default', MELTEMI_VERSION: '0.1.0', INTERCEPTION_MODE: 'NONE', LABELS: { app: 'client' } });
  matchGolden('laptop-tcp-egress', jsonOf(translate(meshOf(configs, { proxyHttpPort: 15002 }), proxy, { typeUrl: xdsType.listener })));
});

test('ServiceEntries of every resolution, with a policy', () => {
  const entry = (name: string, host: string, rest: string) => `---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: ${name}}\nspec: {hosts: ["${host}"], ports: [{number: 443, name: tls, protocol: TLS}, {number: 80, name: http, protocol: HTTP}], ${rest}}\n`;
  const configs = configsOf(
    entry('dns', 'api.example', 'location: MESH_EXTERNAL, resolution: DNS') +
      entry('round', 'rr.example', 'location: MESH_EXTERNAL, resolution: DNS_ROUND_ROBIN, endpoints: [{address: a.example, ports: {http: 8080}}]') +
      entry('static', 'static.example', 'location: MESH_INTERNAL, resolution: STATIC, endpoints: [{address: 10.9.0.1, labels: {v: a}, locality: eu/a}, {address: 10.9.0.2, weight: 3}]') +
      entry('none', '*.wild.example', 'location: MESH_EXTERNAL, resolution: NONE') +
      entry('selected', 'vm.example', 'location: MESH_INTERNAL, resolution: STATIC, workloadSelector: {labels: {app: vm}}') +
      `---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: vm-1}\nspec: {address: 10.8.0.1, labels: {app: vm, security.istio.io/tlsMode: istio}, serviceAccount: vm, ports: {http: 8081}}\n` +
      `---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: api}\nspec: {host: api.example, trafficPolicy: {tls: {mode: SIMPLE}, connectionPool: {tcp: {maxConnections: 5, connectTimeout: 1s}, http: {http2MaxRequests: 7}}, outlierDetection: {consecutive5xxErrors: 3, interval: 5s}, loadBalancer: {simple: ROUND_ROBIN}, portLevelSettings: [{port: {number: 80}, loadBalancer: {simple: RANDOM}}]}}\n`,
  );
  matchGolden('service-entries', everything(meshOf(configs), productpage()));
});

test('proxyless gRPC: a listener per name, routes, clusters and endpoints it accepts', () => {
  const push = meshOf([...bookinfo(), ...rules(), ...sample('bookinfo/networking/virtual-service-reviews-90-10.yaml')]);
  const proxy = proxyOf('grpc-client', { GENERATOR: 'grpc', NAMESPACE: 'default' });
  const cluster = 'outbound|9080||reviews.default.svc.cluster.local';
  matchGolden('proxyless', {
    listener: jsonOf(translate(push, proxy, { typeUrl: xdsType.listener, names: ['reviews:9080', 'reviews.default.svc.cluster.local:9080', 'nobody:1'] })),
    route: jsonOf(translate(push, proxy, { typeUrl: xdsType.route, names: [cluster] })),
    cluster: jsonOf(translate(push, proxy, { typeUrl: xdsType.cluster, names: [cluster, 'outbound|9080|v1|reviews.default.svc.cluster.local'] })),
    endpoint: jsonOf(translate(push, proxy, { typeUrl: xdsType.endpoint, names: [cluster] })),
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { formatFieldErrors } from '@meltemi/base';
import { loadMesh } from '@meltemi/explain';
import { RequestHead, StreamInfo } from '@meltemi/http';
import { buildPushContext, proxyFromNode, translate } from '@meltemi/pilot';
import { fileAccessLoggers, filterExtensions, grpcAccessLoggers, otelAccessLoggers, tracerExtensions } from '@meltemi/proxy';
import { compileListener, type HcmConfig } from '@meltemi/snapshot';
import { xdsType } from '@meltemi/xds';

const yaml = `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
    - {name: zip, zipkin: {service: collector.istio-system.svc.cluster.local, port: 9411}}
    - {name: otel, opentelemetry: {service: collector.istio-system.svc.cluster.local, port: 4317}}
    - {name: records, envoyOtelAls: {service: collector.istio-system.svc.cluster.local, port: 4317, logFormat: {labels: {code: "%RESPONSE_CODE%"}}}}
    - {name: als, envoyHttpAls: {service: collector.istio-system.svc.cluster.local, port: 4317}}
    - {name: als-tcp, envoyTcpAls: {service: collector.istio-system.svc.cluster.local, port: 4317}}
    - {name: file, envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {code: "%RESPONSE_CODE%"}}}}
---
apiVersion: v1
kind: Service
metadata: {name: collector, namespace: istio-system}
spec: {clusterIP: 10.96.0.9, ports: [{name: http, port: 9411}, {name: grpc, port: 4317}]}
---
apiVersion: v1
kind: Service
metadata: {name: shop, namespace: default}
spec: {clusterIP: 10.96.0.10, selector: {app: shop}, ports: [{name: http, port: 80}, {name: tcp-x, port: 90}]}
---
apiVersion: v1
kind: Pod
metadata: {name: shop-0, namespace: default, labels: {app: shop}}
spec: {containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.1.0.1, podIPs: [{ip: 10.1.0.1}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {name: all, namespace: istio-system}
spec:
  accessLogging:
  - providers: [{name: file}, {name: records}, {name: als}, {name: als-tcp}]
    filter: {expression: "response.code >= 400 || connection.mtls"}
  metrics:
  - providers: [{name: prometheus}]
    overrides: [{match: {metric: REQUEST_COUNT}, tagOverrides: {request_host: {value: request.host}}}]
  tracing:
  - {match: {mode: CLIENT}, providers: [{name: zip}], randomSamplingPercentage: 50, customTags: {who: {header: {name: x-user, defaultValue: nobody}}}}
  - {match: {mode: SERVER}, providers: [{name: otel}]}
`;

const extensions = {
  ...filterExtensions(new Map([...fileAccessLoggers(), ...otelAccessLoggers(), ...grpcAccessLoggers()])), tracers: tracerExtensions, autoTlsNames: true,
};

/** Every connection manager of the shop's sidecar, compiled by the proxy's own parsers. */
function managers(): HcmConfig[] {
  const mesh = loadMesh([{ name: 'telemetry.yaml', text: yaml }]);
  assert.deepEqual(mesh.setAside.map(({ errors }) => formatFieldErrors(errors)), []);
  const proxy = proxyFromNode({
    id: 'sidecar~10.1.0.1~shop-0.default~default.svc.cluster.local', cluster: 'shop.default', metadata: { NAMESPACE: 'default', LABELS: { app: 'shop' }, MELTEMI_VERSION: '0.1.0', MELTEMI_HTTP2: 'true' },
    dynamicParameters: {}, userAgentName: '', extensions: [], clientFeatures: [], listeningAddresses: [],
  });
  assert.ok(proxy.ok);
  const push = buildPushContext({ configs: mesh.configs, meshConfig: mesh.meshConfig });
  return [...translate(push, proxy.value, { typeUrl: xdsType.listener }).resources.values()].flatMap(({ any }) => {
    const compiled = compileListener(Listener.decode(any.value), extensions);
    assert.ok(compiled.ok, compiled.ok ? '' : formatFieldErrors(compiled.error));
    return compiled.value.value.allFilterChains.flatMap(({ networkFilters }) => networkFilters.flatMap((filter) => (filter.kind === 'http_connection_manager' ? [filter.config] : [])));
  });
}

test('the proxy takes every logger, tracer and metric that pilot makes of Telemetry, and runs its filter', () => {
  const all = managers();
  assert.ok(all.length > 1);
  assert.deepEqual([...new Set(all.map(({ tracing }) => tracing?.provider?.name ?? ''))].toSorted(), ['envoy.tracers.opentelemetry', 'envoy.tracers.zipkin']);
  const info = new StreamInfo({ id: 1, localAddress: '10.1.0.1:80', directRemoteAddress: '10.1.0.2:1', requestedServerName: '', tls: null }, 0, 0);
  info.request = new RequestHead('GET', '/');
  for (const { accessLogs } of all) {
    assert.deepEqual(accessLogs.map(({ name }) => name).toSorted(), ['envoy.access_loggers.file', 'envoy.access_loggers.http_grpc', 'envoy.access_loggers.open_telemetry']);
    const logs = (status: number) => accessLogs.map(({ filter }) => ((info.responseCode = status), filter?.evaluate(info, 0)));
    assert.deepEqual([logs(200), logs(503)], [[false, false, false], [true, true, true]]);
  }
});

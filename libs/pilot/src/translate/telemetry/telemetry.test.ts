import assert from 'node:assert/strict';
import { test } from 'node:test';
import { xdsType } from '@meltemi/xds';
import { decode, defaultMeshConfig, meshConfigFrom, toRawObject, type MeshConfigSpec } from '@meltemi/config';
import type { Proxy } from '../../proxy/proxy.ts';
import { bookinfo, configsOf, jsonOf, meshOf, productpage } from '../../testing/mesh.test-support.ts';
import { translate } from '../translate.ts';

type Json = Record<string, unknown>;

const collectors = `
apiVersion: v1
kind: Service
metadata: {name: zipkin, namespace: istio-system}
spec: {ports: [{name: http, port: 9411}]}
---
apiVersion: v1
kind: Service
metadata: {name: otel, namespace: istio-system}
spec: {ports: [{name: grpc, port: 4317}, {name: http, port: 4318}]}
---
`;

const providers = `
extensionProviders:
- {name: zip, zipkin: {service: zipkin.istio-system.svc.cluster.local, port: 9411, maxTagLength: 56}}
- {name: otel, opentelemetry: {service: istio-system/otel.istio-system.svc.cluster.local, port: 4317}}
- {name: otel-http, opentelemetry: {service: otel.istio-system.svc.cluster.local, port: 4318, http: {path: /v1/traces, headers: [{name: x-key, value: secret}]}}}
- {name: nowhere, opentelemetry: {service: nobody.example.com, port: 4317}}
- {name: otel-logs, envoyOtelAls: {service: otel.istio-system.svc.cluster.local, port: 4317, logFormat: {labels: {status: "%RESPONSE_CODE%"}}}}
- {name: json, envoyFileAccessLog: {path: /dev/stdout, logFormat: {labels: {code: "%RESPONSE_CODE%"}}}}
`;

function meshConfig(yaml: string): Partial<MeshConfigSpec> {
  const raw = toRawObject({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'istio', namespace: 'istio-system' }, data: { mesh: yaml } });
  assert.ok(raw.ok);
  const decoded = decode(raw.value);
  assert.ok(decoded.ok, decoded.ok ? '' : JSON.stringify(decoded.error));
  const mesh = meshConfigFrom(decoded.value.config);
  assert.ok(mesh?.ok);
  return mesh.value;
}

function telemetry(spec: string, metadata = 'name: it, namespace: default'): string {
  return `{apiVersion: telemetry.istio.io/v1, kind: Telemetry, metadata: {${metadata}}, spec: ${spec}}\n---\n`;
}

interface Managers {
  readonly inbound: Json;
  readonly outbound: Json;
}

/** The connection managers of a sidecar: of port 9080 inbound, and of 9080 outbound. */
function managers(yaml: string, mesh = '', proxy: Proxy = productpage()): Managers {
  const push = meshOf([...bookinfo(), ...configsOf(`${collectors}${yaml}`)], meshConfig(`${mesh}${providers}`));
  const listeners = jsonOf(translate(push, proxy, { typeUrl: xdsType.listener })) as Record<string, { filter_chains: { filters: { name: string; typed_config: Json }[]; name: string }[] }>;
  const manager = (listener: string, chain: string) =>
    listeners[listener]?.filter_chains.filter(({ name }) => name === chain).flatMap(({ filters }) => filters).find(({ name }) => name === 'envoy.filters.network.http_connection_manager')?.typed_config ?? {};
  return { inbound: manager('virtualInbound', '0.0.0.0_9080'), outbound: manager('0.0.0.0_9080', '0.0.0.0_9080') };
}

const filters = (manager: Json) => manager['http_filters'] as { name: string; typed_config: Json }[];
const statsOf = (manager: Json) => filters(manager).find(({ name }) => name === 'istio.stats')?.typed_config ?? {};
const logsOf = (manager: Json) => (manager['access_log'] ?? []) as { name: string; typed_config: Json; filter?: Json }[];
const tracingOf = (manager: Json) => manager['tracing'] as (Json & { provider?: { name: string; typed_config: Json }; custom_tags: { tag: string }[] }) | undefined;

test('logging: root namespace, namespace, workload; the last to name providers decides', () => {
  const root = telemetry('{accessLogging: [{providers: [{name: envoy}]}]}', 'name: mesh, namespace: istio-system');
  const namespace = telemetry('{accessLogging: [{providers: [{name: json}]}]}');
  const workload = telemetry('{selector: {matchLabels: {app: productpage}}, accessLogging: [{disabled: true}]}', 'name: one, namespace: default');
  const other = telemetry('{selector: {matchLabels: {app: reviews}}, accessLogging: [{disabled: true}]}', 'name: one, namespace: default');
  const names = (...yaml: string[]) => logsOf(managers(yaml.join('')).outbound).map(({ typed_config: config }) => JSON.stringify(config).includes('json_format'));
  assert.deepEqual(names(), []);
  assert.deepEqual(names(root), [false]);
  assert.deepEqual(names(root, namespace), [true]);
  assert.deepEqual(names(root, namespace, workload), []);
  assert.deepEqual(names(root, namespace, other), [true]);
  assert.deepEqual(names(telemetry('{accessLogging: [{providers: [{name: json}]}]}', 'name: elsewhere, namespace: other')), []);
});

test('of two objects for one namespace the oldest counts', () => {
  const aged = (name: string, provider: string, year: number) => telemetry(`{accessLogging: [{providers: [{name: ${provider}}]}]}`, `name: ${name}, namespace: default, creationTimestamp: "${year}-01-01T00:00:00Z"`);
  const [log] = logsOf(managers(aged('a', 'json', 2025) + aged('b', 'envoy', 2024)).outbound);
  assert.doesNotMatch(JSON.stringify(log), /json_format/);
});

test('logging: a side alone, a filter, and an OpenTelemetry collector', () => {
  const server = managers(telemetry('{accessLogging: [{match: {mode: SERVER}, providers: [{name: envoy}], filter: {expression: "response.code >= 400"}}]}'));
  assert.deepEqual(logsOf(server.outbound), []);
  const [log] = logsOf(server.inbound);
  assert.match(JSON.stringify(log?.filter), /"expression":"response\.code >= 400"/);
  const [record] = logsOf(managers(telemetry('{accessLogging: [{providers: [{name: otel-logs}]}]}')).outbound);
  assert.match(JSON.stringify(record), /outbound\|4317\|\|otel\.istio-system.*"status"/);
});

test('our proxy is not sent an expression that it cannot run: it logs everything', () => {
  const yaml = telemetry('{accessLogging: [{providers: [{name: envoy}], filter: {expression: "request.colour == 1"}}]}');
  assert.ok(logsOf(managers(yaml).outbound)[0]?.filter);
  assert.equal(logsOf(managers(yaml, '', productpage({ MELTEMI_VERSION: '0.1.0' })).outbound)[0]?.filter, undefined);
});

test('MeshConfig\'s own access log counts only where nobody else speaks of logging', () => {
  const own = 'accessLogFile: /dev/stderr\n';
  const paths = (yaml: string, mesh: string) => logsOf(managers(yaml, mesh).outbound).map(({ typed_config: config }) => config['path']);
  assert.deepEqual(paths('', own), ['/dev/stderr']);
  assert.deepEqual(paths(telemetry('{accessLogging: [{providers: [{name: envoy}]}]}'), own), ['/dev/stdout']);
  assert.deepEqual(paths('', `${own}defaultProviders: {accessLogging: [json]}\n`), ['/dev/stdout']);
  assert.deepEqual(paths(telemetry('{accessLogging: [{disabled: true}]}'), `${own}defaultProviders: {accessLogging: [json]}\n`), []);
});

test('metrics: one metric, all metrics and tags are overridden, for both sides or one', () => {
  const of = (overrides: string) => managers(telemetry(`{metrics: [{providers: [{name: prometheus}], reportingInterval: 7s, overrides: [${overrides}]}]}`));
  const both = of('{match: {metric: REQUEST_COUNT}, tagOverrides: {request_host: {value: request.host}, response_flags: {operation: REMOVE}}}');
  assert.deepEqual(statsOf(both.outbound)['metrics'], [{ name: 'requests_total', dimensions: { request_host: 'request.host' }, tags_to_remove: ['response_flags'] }]);
  assert.equal(statsOf(both.outbound)['tcp_reporting_duration'], '7s');
  assert.deepEqual(statsOf(both.inbound)['metrics'], statsOf(both.outbound)['metrics']);
  const client = of('{match: {metric: REQUEST_SIZE, mode: CLIENT}, disabled: true}');
  assert.deepEqual(statsOf(client.outbound)['metrics'], [{ name: 'request_bytes', drop: true }]);
  assert.equal(statsOf(client.inbound)['metrics'], undefined);
  assert.deepEqual(statsOf(of('{disabled: true}').outbound)['metrics'], [{ drop: true }]);
  assert.equal((statsOf(of('{tagOverrides: {a: {value: "\'b\'"}}}').outbound)['metrics'] as unknown[]).length, 10);
  assert.deepEqual(statsOf(of('{disabled: true}, {match: {metric: REQUEST_COUNT}, disabled: false}').outbound)['metrics'], [{ name: 'requests_total' }]);
});

test('a metric of one\'s own is defined by an EnvoyFilter and labelled by Telemetry', () => {
  const definition = `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: mine, namespace: istio-system}
spec:
  configPatches:
  - applyTo: HTTP_FILTER
    match: {context: SIDECAR_OUTBOUND, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager, subFilter: {name: istio.stats}}}}}
    patch: {operation: MERGE, value: {typed_config: {"@type": type.googleapis.com/stats.PluginConfig, definitions: [{name: mine, value: "request.size", type: HISTOGRAM}]}}}
---
`;
  const labelled = telemetry('{metrics: [{providers: [{name: prometheus}], overrides: [{match: {customMetric: mine, mode: CLIENT}, tagOverrides: {host: {value: request.host}}}]}]}');
  const { outbound } = managers(definition + labelled);
  assert.deepEqual([statsOf(outbound)['definitions'], statsOf(outbound)['metrics']], [[{ name: 'mine', value: 'request.size', type: 'HISTOGRAM' }], [{ name: 'mine', dimensions: { host: 'request.host' } }]]);
});

test('metrics of a provider that is not Prometheus are not counted by proxies', () => {
  assert.deepEqual(statsOf(managers(telemetry('{metrics: [{providers: [{name: otel}]}]}')).outbound)['metrics'], [{ drop: true }]);
});

test('tracing goes to the provider that Telemetry names, sampled and tagged as it says, on the sides it names', () => {
  const yaml = telemetry('{tracing: [{providers: [{name: zip}], randomSamplingPercentage: 12.5, customTags: {where: {literal: {value: here}}, who: {header: {name: x-user, defaultValue: nobody}}, pod: {environment: {name: POD}}}, useRequestIdForTraceSampling: false}]}');
  const { inbound, outbound } = managers(yaml);
  const tracing = tracingOf(outbound);
  assert.deepEqual(tracing?.['random_sampling'], { value: 12.5 });
  assert.equal(tracing?.['max_path_tag_length'], 56);
  assert.equal(tracing?.provider?.name, 'envoy.tracers.zipkin');
  assert.deepEqual(tracing?.provider?.typed_config, {
    '@type': 'type.googleapis.com/envoy.config.trace.v3.ZipkinConfig', collector_cluster: 'outbound|9411||zipkin.istio-system.svc.cluster.local', collector_endpoint: '/api/v2/spans',
    collector_hostname: 'zipkin.istio-system.svc.cluster.local', collector_endpoint_version: 'HTTP_JSON', trace_id_128bit: true, shared_span_context: false,
  });
  const tags = tracing?.custom_tags.map(({ tag }) => tag) ?? [];
  assert.deepEqual(tags, tags.toSorted());
  for (const tag of ['istio.canonical_service', 'where', 'who', 'pod']) assert.ok(tags.includes(tag), tag);
  assert.match(JSON.stringify(outbound['request_id_extension']), /"use_request_id_for_trace_sampling":false/);
  assert.deepEqual(tracingOf(inbound)?.provider, tracing?.provider);
  const client = managers(telemetry('{tracing: [{match: {mode: CLIENT}, providers: [{name: otel}], enableIstioTags: false}]}'));
  assert.equal(tracingOf(client.inbound), undefined);
  assert.match(JSON.stringify(tracingOf(client.outbound)), /"grpc_service":\{"envoy_grpc":\{"cluster_name":"outbound\|4317\|\|otel/);
  assert.equal(tracingOf(client.outbound)?.custom_tags, undefined);
});

test('a tag by a formatter is the proxy\'s to print; ours is not sent one that it cannot', () => {
  const yaml = telemetry('{tracing: [{providers: [{name: zip}], customTags: {a: {formatter: {value: "%PROTOCOL% %REQ(X-A)%"}}, b: {formatter: {value: "%NOT_A_COMMAND%"}}}}]}');
  const tags = (proxy?: Proxy) => (tracingOf(managers(yaml, '', proxy).outbound)?.custom_tags ?? []).filter(({ tag }) => tag.length === 1);
  assert.deepEqual(tags(), [{ tag: 'a', value: '%PROTOCOL% %REQ(X-A)%' }, { tag: 'b', value: '%NOT_A_COMMAND%' }]);
  assert.deepEqual(tags(productpage({ MELTEMI_VERSION: '0.1.0' })), [{ tag: 'a', value: '%PROTOCOL% %REQ(X-A)%' }]);
});

test('tracing: the default provider, OpenTelemetry over HTTP, reporting switched off, and a collector that is not there', () => {
  const http = JSON.stringify(tracingOf(managers('', 'defaultProviders: {tracing: [otel-http]}\n').outbound));
  assert.match(http, /"uri":"otel\.istio-system\.svc\.cluster\.local\/v1\/traces"/);
  assert.match(http, /"key":"x-key","value":"secret"/);
  assert.match(http, /"random_sampling":\{"value":1\}/);
  assert.equal(tracingOf(managers(telemetry('{tracing: [{disableSpanReporting: true}]}'), 'defaultProviders: {tracing: [zip]}\n').outbound), undefined);
  assert.equal(tracingOf(managers(telemetry('{tracing: [{providers: [{name: nowhere}]}]}')).outbound), undefined);
});

test('without Telemetry an Envoy traces to where its bootstrap says; our proxy to the collector of defaultConfig, if there is one', () => {
  const ours = productpage({ MELTEMI_VERSION: '0.1.0' });
  assert.equal(tracingOf(managers('').outbound)?.provider, undefined);
  assert.deepEqual(tracingOf(managers('').outbound)?.['random_sampling'], { value: 1 });
  assert.equal(tracingOf(managers('', 'enableTracing: false\n').outbound), undefined);
  assert.equal(tracingOf(managers('', '', ours).outbound), undefined);
  const collector = managers('', 'defaultConfig: {tracing: {sampling: 50, zipkin: {address: "zipkin.istio-system:9411"}}}\n', ours);
  assert.deepEqual(tracingOf(collector.outbound)?.['random_sampling'], { value: 50 });
  assert.match(JSON.stringify(tracingOf(collector.outbound)), /outbound\|9411\|\|zipkin/);
  assert.equal(defaultMeshConfig().enableTracing, true);
});

test('listeners log connections that no filter chain takes, and those alone, unless MeshConfig says no', () => {
  const logsOf = (yaml: string, manifest = '') => {
    const push = meshOf([...bookinfo(), ...configsOf(manifest)], meshConfig(yaml));
    const listeners = jsonOf(translate(push, productpage(), { typeUrl: xdsType.listener })) as Readonly<Record<string, Json>>;
    return (name: string) => (listeners[name]?.['access_log'] ?? []) as Json[];
  };
  const logs = logsOf('accessLogFile: /dev/stdout');
  for (const name of ['virtualInbound', 'virtualOutbound']) assert.deepEqual(logs(name).map(({ name: logger, filter }) => [logger, filter]), [['envoy.access_loggers.file', { response_flag_filter: { flags: ['NR'] } }]], name);
  assert.deepEqual(logs('0.0.0.0_9080'), []);
  const filtered = logsOf('accessLogFile: ""', 'apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {name: t, namespace: default}\nspec: {accessLogging: [{providers: [{name: envoy}], filter: {expression: "response.code >= 400"}}]}');
  const [log] = filtered('virtualInbound');
  assert.deepEqual((log?.['filter'] as { and_filter: { filters: object[] } } | undefined)?.and_filter.filters.map((each) => Object.keys(each)), [['response_flag_filter'], ['extension_filter']]);
  for (const none of ['accessLogFile: ""', 'accessLogFile: /dev/stdout\ndisableEnvoyListenerLog: true']) assert.deepEqual(logsOf(none)('virtualInbound'), []);
});

import { table } from '../../testing/verdict.ts';
import { envoyFilter } from '../envoy-filter/kind.ts';
import { trafficExtension, wasmPlugin } from './extensions.ts';
import { proxyConfigKind } from '../proxy-config/kind.ts';
import { workloadGroup } from './workloads.ts';

const group = (fields: string): string => `{template: {}, ${fields}}`;

table(workloadGroup, {
  good: [
    ['a template without address', '{template: {labels: {app: a}, ports: {http: 8080}}}'],
    ['a probe over HTTP', group('probe: {httpGet: {port: 8080, path: /healthz, scheme: HTTPS, httpHeaders: [{name: X-A, value: b}]}, periodSeconds: 5}')],
    ['a probe over TCP', group('probe: {tcpSocket: {port: 8080}}')],
    ['a probe over gRPC', group('probe: {grpc: {port: 8080, service: shop}}')],
    ['a probe by program', group('probe: {exec: {command: [/bin/true]}}')],
  ],
  bad: [
    ['no template', '{metadata: {}}', 'spec.template', /required/],
    ['a label that is none', '{metadata: {labels: {"a b": c}}, template: {}}', 'spec.metadata.labels["a b"]', /label name/],
    ['257 annotations', `{metadata: {annotations: {${Array.from({ length: 257 }, (_, i) => `a${i}: b`).join(', ')}}}, template: {}}`, 'spec.metadata.annotations', /at most 256/],
    ['a socket with ports', '{template: {address: unix:///a, ports: {http: 80}}}', 'spec.template.ports', /empty/],
    ['a relative socket', '{template: {address: unix://a}}', 'spec.template.address', /absolute/],
    ['port 0', '{template: {ports: {http: 0}}}', 'spec.template.ports.http', /65535/],
    ['a probe of nothing', group('probe: {periodSeconds: 5}'), 'spec.probe', /one of httpGet/],
    ['a probe over gRPC at port 0', group('probe: {grpc: {}}'), 'spec.probe.grpc.port', /65535/],
    ['a probe at port 0', group('probe: {tcpSocket: {port: 0}}'), 'spec.probe.tcpSocket.port', /65535/],
    ['a probe of no program', group('probe: {exec: {command: []}}'), 'spec.probe.exec.command', /program/],
    ['a probe by FTP', group('probe: {httpGet: {port: 1, scheme: FTP}}'), 'spec.probe.httpGet.scheme', /HTTPS/],
    ['a header with a blank', group('probe: {httpGet: {port: 1, httpHeaders: [{name: "a b"}]}}'), 'spec.probe.httpGet.httpHeaders[0].name', /header name/],
    ['a negative period', group('probe: {tcpSocket: {port: 1}, periodSeconds: -1}'), 'spec.probe.periodSeconds', /range 0/],
  ],
});

table(proxyConfigKind, {
  good: [['an environment', '{environmentVariables: {A: b}, concurrency: 0}']],
  bad: [['a variable of 2049 letters', `{environmentVariables: {A: ${'a'.repeat(2049)}}}`, 'spec.environmentVariables.A', /2048/]],
});

table(wasmPlugin, {
  good: [
    ['a checksum and an environment', `{url: registry.example.com/a:v1, sha256: ${'a'.repeat(64)}, vmConfig: {env: [{name: A, value: b}, {name: C, valueFrom: HOST}]}, match: [{mode: SERVER, ports: [{number: 80}]}]}`],
    ['an empty checksum', '{url: "https://a/b.wasm", sha256: ""}'],
  ],
  bad: [
    ['a checksum in capitals', `{url: a, sha256: ${'A'.repeat(64)}}`, 'spec.sha256', /64/],
    ['a scheme nobody fetches', '{url: "ftp://a/b"}', 'spec.url', /oci/],
    ['an empty name', '{url: a, pluginName: ""}', 'spec.pluginName', /empty/],
    ['an empty pull secret', '{url: a, imagePullSecret: ""}', 'spec.imagePullSecret', /empty/],
    ['a variable twice', '{url: a, vmConfig: {env: [{name: A}, {name: A}]}}', 'spec.vmConfig.env[1].name', /already/],
    ['a value from the host', '{url: a, vmConfig: {env: [{name: A, valueFrom: HOST, value: b}]}}', 'spec.vmConfig.env[0].value', /HOST/],
    ['a port twice', '{url: a, match: [{ports: [{number: 80}, {number: 80}]}]}', 'spec.match[0].ports[1].number', /already/],
    ['port 65536', '{url: a, match: [{ports: [{number: 65536}]}]}', 'spec.match[0].ports[0].number', /65535/],
    ['17 targets', `{url: a, targetRefs: [${Array.from({ length: 17 }, (_, i) => `{kind: Service, name: a${i}}`).join(', ')}]}`, 'spec.targetRefs', /at most 16/],
  ],
});

table(trafficExtension, {
  good: [['Wasm', '{wasm: {url: a}, phase: STATS}']],
  bad: [
    ['both', '{wasm: {url: a}, lua: {inlineCode: a}}', 'spec', /only one of/],
    ['empty Lua', '{lua: {inlineCode: ""}}', 'spec.lua.inlineCode', /empty/],
    ['Lua of 65537 letters', `{lua: {inlineCode: ${'a'.repeat(65_537)}}}`, 'spec.lua.inlineCode', /65536/],
    ['Wasm without URL', '{wasm: {}}', 'spec.wasm.url', /required/],
  ],
});

const patch = (match: string): string => `{configPatches: [{applyTo: CLUSTER, match: {${match}}, patch: {operation: REMOVE}}]}`;

table(envoyFilter, {
  good: [],
  bad: [
    ['a waypoint match elsewhere', patch('context: GATEWAY, waypoint: {portNumber: 80}'), 'spec.configPatches[0].match.waypoint', /WAYPOINT/],
    ['a waypoint without its match', patch('context: WAYPOINT'), 'spec.configPatches[0].match.waypoint', /WAYPOINT/],
    ['an unknown waypoint field', patch('context: WAYPOINT, waypoint: {port: 80}'), 'spec.configPatches[0].match.waypoint.port', /did you mean|unknown/],
  ],
  warns: [['a version of 1025 letters', patch(`proxy: {proxyVersion: ${'a'.repeat(1025)}}`), 'spec.configPatches[0].match.proxy.proxyVersion', /ignored/]],
});

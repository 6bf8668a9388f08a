import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table, verdict } from '../../testing/verdict.ts';
import { workloadEntry } from '../workload-entry/kind.ts';
import { serviceEntry } from './kind.ts';

const https = 'ports: [{number: 443, name: https, protocol: HTTPS}]';
const entry = (fields: string): string => `{hosts: [api.example.com], ${https}, ${fields}}`;
const tcp = (fields: string): string => `{hosts: [db.example.com], ports: [{number: 5432, name: tcp, protocol: TCP}], ${fields}}`;

table(serviceEntry, {
  good: [
    ['a CIDR block for STATIC', entry('resolution: STATIC, addresses: [10.0.0.0/8], endpoints: [{address: 10.0.0.1}]')],
    ['TCP by address', tcp('resolution: STATIC, addresses: [10.0.0.1], endpoints: [{address: 10.0.0.1}]')],
    ['TCP whose address the mesh gives', tcp('resolution: DNS')],
    ['a name of capitals', `{hosts: [API.example.com], ${https}, resolution: DNS}`],
    ['256 hosts', `{hosts: [${Array.from({ length: 256 }, (_, i) => `h${i}.example.com`).join(', ')}], ${https}, resolution: DNS}`],
    ['a partial wildcard for dynamic DNS', '{hosts: ["*-api.example.com"], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DYNAMIC_DNS}'],
  ],
  bad: [
    ['257 hosts', `{hosts: [${Array.from({ length: 257 }, (_, i) => `h${i}.example.com`).join(', ')}], ${https}}`, 'spec.hosts', /at most 256/],
    ['an address of 65 characters', entry(`resolution: DNS, addresses: ["${'1'.repeat(65)}"]`), 'spec.addresses[0]', /at most 64/],
    ['port 0', '{hosts: [a.b], ports: [{number: 0, name: a, protocol: HTTP}]}', 'spec.ports[0].number', /65535/],
    ['a target port beyond 65535', '{hosts: [a.b], ports: [{number: 80, targetPort: 65536, name: a, protocol: HTTP}]}', 'spec.ports[0].targetPort', /65535/],
    ['a DNS endpoint without address', entry('resolution: DNS, endpoints: [{network: remote}]'), 'spec.endpoints[0].address', /required/],
    ['a DNS endpoint at a socket', entry('resolution: DNS, endpoints: [{address: unix:///a}]'), 'spec.endpoints[0].address', /STATIC/],
    ['a socket of two ports', '{hosts: [a.b], ports: [{number: 80, name: a, protocol: HTTP}, {number: 81, name: b, protocol: HTTP}], resolution: STATIC, endpoints: [{address: unix:///a}]}', 'spec.endpoints[0].address', /exactly one port/],
    ['a selector with a wildcard', entry('resolution: STATIC, workloadSelector: {labels: {app: "*"}}'), 'spec.workloadSelector.labels.app', /wildcards/],
    ['nobody and somebody', entry('resolution: DNS, exportTo: ["~", a]'), 'spec.exportTo', /alone/],
    ['the own namespace twice', entry('resolution: DNS, exportTo: [., shop]'), 'spec.exportTo[1]', /repeats/],
    ['dynamic DNS of TCP', '{hosts: ["*.example.com"], ports: [{number: 1, name: a, protocol: TCP}], resolution: DYNAMIC_DNS}', 'spec.ports[0].protocol', /HTTP/],
    ['dynamic DNS at an address', '{hosts: ["*.example.com"], ports: [{number: 80, name: a, protocol: HTTP}], resolution: DYNAMIC_DNS, addresses: [10.0.0.1]}', 'spec.addresses', /empty/],
    ['a location that is none', entry('location: MESH_OUTSIDE'), 'spec.location', /MESH_EXTERNAL/],
  ],
  warns: [
    ['a partial wildcard', `{hosts: ["*api.example.com"], ${https}, resolution: NONE}`, 'spec.hosts[0]', /partial/],
    ['TCP without an address for NONE', tcp('resolution: NONE'), 'spec.ports[0].protocol', /spec\.addresses/],
    ['hosts that share an address on TLS', '{hosts: [a.b, c.d], addresses: [10.0.0.1], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DNS}', 'spec.hosts', /share/],
  ],
});

test('TCP without an address is warned of when the label switches automatic addresses off', () => {
  const { warnings } = verdict(serviceEntry, tcp('resolution: DNS'), { labels: { 'networking.istio.io/enable-autoallocate-ip': 'false' } });
  assert.match(warnings.join(), /spec\.ports\[0\]\.protocol: .*addresses/);
});

test('dynamic DNS in the mesh does not go with a waypoint', () => {
  const yaml = '{hosts: ["*.example.com"], location: MESH_INTERNAL, ports: [{number: 80, name: a, protocol: HTTP}], resolution: DYNAMIC_DNS}';
  assert.deepEqual(verdict(serviceEntry, yaml).errors, []);
  assert.match(verdict(serviceEntry, yaml, { labels: { 'istio.io/use-waypoint': 'w' } }).errors.join(), /MESH_EXTERNAL/);
  assert.deepEqual(verdict(serviceEntry, yaml, { labels: { 'istio.io/use-waypoint': 'None' } }).errors, []);
});

table(workloadEntry, {
  good: [
    ['an abstract socket', '{address: "unix://@app"}'],
    ['IPv6', '{address: "2001:db8::1", locality: a/b/c, network: n}'],
  ],
  bad: [
    ['a socket that is a directory', '{address: unix:///run/}', 'spec.address', /absolute path/],
    ['a port name of 63 letters', `{address: 10.0.0.1, ports: {${'a'.repeat(63)}: 80}}`, `spec.ports.${'a'.repeat(63)}`, /1–62/],
    ['an account of 254 letters', `{address: 10.0.0.1, serviceAccount: ${'a'.repeat(254)}}`, 'spec.serviceAccount', /253/],
    ['a label that is no label', '{address: 10.0.0.1, labels: {"a b": c}}', 'spec.labels["a b"]', /label name/],
    ['a port beyond 65535', '{address: 10.0.0.1, ports: {http: 65536}}', 'spec.ports.http', /65535/],
  ],
});

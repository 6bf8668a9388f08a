import { table } from '../../testing/verdict.ts';
import { workloadEntry } from '../workload-entry/kind.ts';
import { serviceEntry } from './kind.ts';

const https = 'ports: [{number: 443, name: https, protocol: HTTPS}]';
const entry = (fields: string): string => `{hosts: [api.example.com], ${https}, ${fields}}`;

table(serviceEntry, {
  good: [
    ['DNS', entry('resolution: DNS, location: MESH_EXTERNAL')],
    ['a wildcard without resolution', `{hosts: ["*.example.com"], ${https}, resolution: NONE}`],
    ['endpoints by address', entry('resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {https: 8443}, labels: {a: b}}, {address: "2001:db8::1"}]')],
    ['a Unix socket', entry('resolution: STATIC, endpoints: [{address: unix:///run/a.sock}]')],
    ['a network without address', entry('resolution: DNS, endpoints: [{address: a.example.com}]')],
    ['a selector', entry('resolution: STATIC, workloadSelector: {labels: {app: a}}')],
    ['a CIDR block', '{hosts: [a.example.com], addresses: [192.168.0.0/16], ports: [{number: 27018, name: tcp, protocol: TCP}], resolution: NONE}'],
    ['nobody to see it', entry('resolution: DNS, exportTo: ["~"]')],
    ['dynamic DNS', `{hosts: ["*.example.com"], ports: [{number: 443, name: tls, protocol: TLS}], resolution: DYNAMIC_DNS}`],
  ],
  bad: [
    ['no hosts', `{${https}}`, 'spec.hosts', /required/],
    ['host *', `{hosts: ["*"], ${https}}`, 'spec.hosts[0]', /not allowed/],
    ['a port twice', '{hosts: [a.b], ports: [{number: 80, name: a, protocol: HTTP}, {number: 80, name: b, protocol: HTTP}]}', 'spec.ports[1].number', /already/],
    ['a port name twice', '{hosts: [a.b], ports: [{number: 80, name: a, protocol: HTTP}, {number: 81, name: a, protocol: HTTP}]}', 'spec.ports[1].name', /already/],
    ['an unknown protocol', '{hosts: [a.b], ports: [{number: 80, name: a, protocol: GOPHER}]}', 'spec.ports[0].protocol', /not a protocol/],
    ['a port name with an underscore', '{hosts: [a.b], ports: [{number: 80, name: a_b}]}', 'spec.ports[0].name', /port name/],
    ['endpoints for NONE', entry('resolution: NONE, endpoints: [{address: 10.0.0.1}]'), 'spec.endpoints', /STATIC or DNS/],
    ['a name for STATIC', entry('resolution: STATIC, endpoints: [{address: a.example.com}]'), 'spec.endpoints[0].address', /IP address/],
    ['a port the service has not', entry('resolution: STATIC, endpoints: [{address: 10.0.0.1, ports: {http: 80}}]'), 'spec.endpoints[0].ports.http', /not the name of a port/],
    ['selector and endpoints', entry('resolution: STATIC, workloadSelector: {labels: {a: b}}, endpoints: [{address: 10.0.0.1}]'), 'spec', /only one of/],
    ['a CIDR block with DNS', entry('resolution: DNS, addresses: [10.0.0.0/8]'), 'spec.addresses[0]', /CIDR/],
    ['a wildcard with DNS', `{hosts: ["*.example.com"], ${https}, resolution: DNS}`, 'spec.hosts[0]', /looked up/],
    ['two round-robin endpoints', entry('resolution: DNS_ROUND_ROBIN, endpoints: [{address: a.b}, {address: c.d}]'), 'spec.endpoints', /at most one/],
    ['several hosts on TCP', '{hosts: [a.b, c.d], ports: [{number: 1, name: tcp, protocol: TCP}], resolution: DNS}', 'spec.ports[0].protocol', /several hosts/],
    ['dynamic DNS of a plain host', entry('resolution: DYNAMIC_DNS'), 'spec.hosts[0]', /\*/],
    ['an unknown resolution', entry('resolution: LATER'), 'spec.resolution', /one of NONE/],
    ['a null port', '{hosts: [a.b], ports: [null]}', 'spec.ports[0]', /null/],
  ],
  warns: [
    ['a selector for NONE', entry('resolution: NONE, workloadSelector: {labels: {a: b}}'), 'spec.workloadSelector', /no effect/],
    ['an empty selector', entry('resolution: STATIC, workloadSelector: {}'), 'spec.workloadSelector.labels', /every workload/],
  ],
});

table(workloadEntry, {
  good: [
    ['an address', '{address: 10.0.0.1, labels: {app: a}, serviceAccount: a, ports: {http: 8080}, weight: 2}'],
    ['a name', '{address: vm.example.com}'],
  ],
  bad: [
    ['no address', '{labels: {a: b}}', 'spec.address', /required/],
    ['a name with a space', '{address: "a b"}', 'spec.address', /neither/],
    ['a socket with ports', '{address: unix:///a, ports: {http: 1}}', 'spec.ports', /empty/],
    ['a relative socket', '{address: unix://a}', 'spec.address', /absolute/],
    ['a port out of range', '{address: 10.0.0.1, ports: {http: 0}}', 'spec.ports.http', /65535/],
    ['a weight below 0', '{address: 10.0.0.1, weight: -1}', 'spec.weight', /range/],
  ],
  warns: [['only a network', '{network: remote}', 'spec.address', /gateways of network/]],
});

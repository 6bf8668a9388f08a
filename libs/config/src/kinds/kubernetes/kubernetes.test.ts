import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../../decode.ts';
import { toRawObject } from '../../envelope.ts';
import { table } from '../../testing/verdict.ts';
import { isOfKind } from '../registry.ts';
import { configMap } from './config-map/kind.ts';
import { deployment } from './deployment/kind.ts';
import { endpointSlice } from './endpoint-slice/kind.ts';
import { endpoints } from './endpoints/kind.ts';
import { pod } from './pod/kind.ts';
import { kubeService } from './service/kind.ts';

table(kubeService, {
  good: [
    ['ports by name', '{selector: {app: a}, ports: [{name: http, port: 80, targetPort: web}, {name: tcp, port: 81}], type: NodePort, ipFamilies: [IPv4]}'],
    ['a headless service', '{clusterIP: None, selector: {app: a}}'],
    ['an external name', '{type: ExternalName, externalName: db.example.com}'],
  ],
  bad: [
    ['port 0', '{ports: [{port: 0}]}', 'spec.ports[0].port', /65535/],
    ['no ports', '{selector: {a: b}}', 'spec.ports', /at least one/],
    ['ExternalName without a name', '{type: ExternalName}', 'spec.externalName', /required/],
    ['a port in words', '{ports: [{port: http}]}', 'spec.ports[0].port', /whole number/],
  ],
  warns: [
    ['unnamed ports', '{ports: [{port: 80}, {port: 81}]}', 'spec.ports[0].name', /several/],
    ['one name twice', '{ports: [{port: 80, name: http}, {port: 81, name: http}]}', 'spec.ports[1].name', /earlier/],
  ],
});

table(endpoints, {
  good: [['addresses', '{subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 80, name: http}]}]}']],
  bad: [['a name for an IP', '{subsets: [{addresses: [{ip: localhost}]}]}', 'subsets[0].addresses[0].ip', /IP address/]],
});

table(endpointSlice, {
  good: [],
  bad: [
    ['no address', '{addressType: IPv4, endpoints: [{conditions: {ready: true}}]}', 'endpoints[0].addresses', /required/],
  ],
  warns: [['a slice of no Service, without addressType', '{ endpoints: [{addresses: [10.0.0.1]}]}', 'metadata.labels', /service-name/]],
});

table(deployment, {
  good: [['a template', '{selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: b, ports: [{containerPort: 80}]}]}}}'], ['a template without containers', '{selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: a}}}}']],
  bad: [
    ['a selector its pods do not match', '{selector: {matchLabels: {app: a}}, template: {metadata: {labels: {app: b}}, spec: {containers: [{name: a}]}}}', 'spec.template.metadata.labels', /app: a/],
  ],
});

table(configMap, { good: [['any data', '{data: {a: "1"}}']], bad: [['a number', '{data: {a: 1}}', 'data.a', /string/]] });

test('a Pod carries where it runs, and is ready unless its status says otherwise', () => {
  const raw = toRawObject({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a' },
    spec: { serviceAccountName: 'bookinfo', containers: [{ name: 'a', ports: [{ containerPort: 9080 }] }] },
    status: { podIP: '10.0.0.1', conditions: [{ type: 'Ready', status: 'False' }] },
  });
  assert.ok(raw.ok);
  const result = decode(raw.value);
  assert.ok(result.ok && isOfKind(result.value.config, pod));
  assert.deepEqual(result.value.config.spec.status, { phase: '', podIP: '10.0.0.1', podIPs: ['10.0.0.1'], ready: false });
  assert.equal(result.value.config.spec.serviceAccountName, 'bookinfo');
});

test('a Pod written down without a spec is used for where it runs', () => {
  const raw = toRawObject({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' }, status: { podIP: '10.0.0.1' } });
  assert.ok(raw.ok);
  const result = decode(raw.value);
  assert.ok(result.ok && isOfKind(result.value.config, pod));
  assert.deepEqual([result.value.config.spec.status.podIP, result.value.config.spec.serviceAccountName, result.value.config.spec.containers], ['10.0.0.1', 'default', []]);
});

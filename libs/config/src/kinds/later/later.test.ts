import { table } from '../../testing/verdict.ts';
import { trafficExtension, wasmPlugin } from './extensions.ts';
import { workloadGroup } from './workloads.ts';

table(workloadGroup, {
  good: [['a template', '{metadata: {labels: {app: a}}, template: {serviceAccount: a, ports: {http: 8080}}}']],
  bad: [['two probes', '{template: {}, probe: {exec: {command: [a]}, tcpSocket: {port: 1}}}', 'spec.probe', /only one of/]],
});
table(wasmPlugin, { good: [['a URL', '{url: "oci://a/b", phase: STATS}'], ['one that may fail', '{url: a, phase: AUTHN, failStrategy: FAIL_OPEN}']], bad: [['no URL', '{}', 'spec.url', /required/], ['a checksum of 3 letters', '{url: a, sha256: foo}', 'spec.sha256', /64/]], warns: [['one that would decide who gets in', '{url: a, phase: AUTHZ}', 'spec.phase', /requests pass/]] });
table(trafficExtension, { good: [['Lua', '{lua: {inlineCode: "return"}}']], bad: [['neither', '{}', 'spec', /one of wasm, lua/]] });

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyzers } from '../../analyzers.ts';
import { cases, object } from '../../testing/cases.ts';

const named = (name: string) => {
  const found = analyzers.find((one) => one.name === name);
  assert.ok(found, name);
  return found;
};
const policy = (spec: string) => object('security.istio.io/v1', 'PeerAuthentication', '{name: a}', `spec: ${spec}`);

cases(named('schema.ValidationAnalyzer.PeerAuthentication'), {
  'a field that is none': { yaml: policy('{mtl: {mode: STRICT}}'), finds: [['IST0106 PeerAuthentication a.default', 4, /spec\.mtl: unknown field "mtl"; did you mean "mtls"/]] },
  'a value that is none': { yaml: policy('{mtls: {mode: STRIKT}}'), finds: [['IST0106 PeerAuthentication a.default', 4, /did you mean "STRICT"/]] },
  'several mistakes': { yaml: policy('{mtls: 1, selector: 2}'), finds: [['IST0106 PeerAuthentication a.default', 4, /spec\.mtls/], ['IST0106 PeerAuthentication a.default', 4, /spec\.selector/]] },
  'what is right': { yaml: policy('{mtls: {mode: STRICT}}'), finds: [] },
});

cases(named('schema.ValidationAnalyzer.AuthorizationPolicy'), {
  'what is doubtful': { yaml: object('security.istio.io/v1', 'AuthorizationPolicy', '{name: a}', 'spec: {action: DENY, rules: [{to: [{operation: {methods: [GET]}}]}]}'), finds: [['IST0133 AuthorizationPolicy a.default', 4, /./]] },
});

cases(named('schema.ValidationAnalyzer'), {
  'MeshConfig in its ConfigMap': { yaml: object('v1', 'ConfigMap', '{name: istio, namespace: istio-system}', 'data: {mesh: "accessLogFle: a"}'), finds: [['IST0133 ConfigMap istio.istio-system', 4, /accessLogFle/]] },
  'a kind of Istio\'s group that is none': { yaml: object('security.istio.io/v1', 'PeerAuthentification', '{name: a}', 'spec: {}'), finds: [['IST0106 PeerAuthentification a.default', 2, /PeerAuthentication/]] },
});

test('every kind of the mesh has its own schema analyzer, as in Istio', () => {
  for (const kind of ['VirtualService', 'Gateway', 'Telemetry', 'WasmPlugin', 'ProxyConfig', 'WorkloadGroup']) named(`schema.ValidationAnalyzer.${kind}`);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatFieldErrors } from '@meltemi/base';
import { decode, defaultMeshConfig, parseYamlDocuments, type RawObject } from '@meltemi/config';
import { buildPushContext } from '@meltemi/pilot';
import { shownContent } from './shown-content.ts';

function objects(yaml: string): RawObject[] {
  return parseYamlDocuments(yaml, 'a.yaml').documents.map(({ raw, errors }) => raw ?? assert.fail(formatFieldErrors(errors)));
}

test('a Secret is shown with the names of what it holds, and nothing else of it', () => {
  const [secret] = objects('apiVersion: v1\nkind: Secret\nmetadata: {name: cert}\ntype: kubernetes.io/tls\ndata: {tls.crt: cHVibGlj, tls.key: c2VjcmV0}\nstringData: {extra: plain}\n');
  assert.ok(secret);
  assert.deepEqual(shownContent(secret), { ...secret.content, data: { 'tls.crt': '', 'tls.key': '' }, stringData: { extra: '' } });
});

test('a route is shown with the status that pilot computes, beside what others wrote there', () => {
  const raws = objects(`
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: istio, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{name: nobody, port: 80}]}]}
`);
  const configs = raws.map((raw) => {
    const decoded = decode(raw);
    return decoded.ok ? decoded.value.config : assert.fail(formatFieldErrors(decoded.error));
  });
  const push = buildPushContext({ configs, meshConfig: defaultMeshConfig() });
  const [, route] = raws;
  const { status } = (route ? shownContent(route, push) : {}) as { readonly status?: { readonly parents: readonly { readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[] }[] } };
  assert.deepEqual(status?.parents[0]?.conditions.map(({ type, status: is, reason }) => [type, is, reason]), [['Accepted', 'True', 'Accepted'], ['ResolvedRefs', 'False', 'BackendNotFound']]);
});

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { withDeadline } from '@meltemi/base';
import { clientSide, loadMesh, meshTestsOf, readCalls, runMeshTests } from '@meltemi/explain';
import type { StreamInfo } from '@meltemi/http';
import { TestAuthority } from './certificates.ts';
import { TestUpstream } from './upstream.ts';
import { WireProxy } from './wire-proxy.ts';

// Who is told what of a denial: the log, the metrics and `explain` which rule it was, the client nothing.

const text = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: foo}
spec: {clusterIP: 10.96.4.1, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp-raw, port: 90, targetPort: 9090}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: foo, labels: {app: web, security.istio.io/tlsMode: istio}}
spec: {serviceAccountName: web, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.1.1.1, podIPs: [{ip: 10.1.1.1}], conditions: [{type: Ready, status: "True"}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: secret-name, namespace: foo}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/other], ports: ["8080"]}}]}, {to: [{operation: {paths: [/admin], ports: ["8080"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: let-in, namespace: foo}
spec: {action: ALLOW, rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {ports: ["9090"]}}], from: [{source: {notIpBlocks: ["127.99.81.0/24"]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: watched, namespace: foo}
spec: {action: AUDIT, rules: [{to: [{operation: {paths: [/watched]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tried-deny, namespace: foo, annotations: {istio.io/dry-run: "true"}}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/tried]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tried-allow, namespace: foo, annotations: {istio.io/dry-run: "true"}}
spec: {action: ALLOW, rules: [{to: [{operation: {paths: [/tried]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: closed, namespace: foo}
spec: {action: DENY, rules: [{to: [{operation: {ports: ["9090"]}}], from: [{source: {ipBlocks: ["127.99.82.0/24"]}}]}]}
---
apiVersion: meltemi.io/v1alpha1
kind: MeshTest
metadata: {name: explained}
spec:
  proxy: {type: sidecar, namespace: foo, labels: {app: web}, ip: 10.1.1.1, serviceAccount: web}
  tests:
  - {name: denied, call: {mode: inbound, port: 8080, host: web.foo, path: /admin}, expect: {outcome: denied, policy: foo/secret-name, rule: "ns[foo]-policy[secret-name]-rule[1]"}}
  - {name: not allowed, call: {mode: inbound, port: 8080, host: web.foo, method: PUT}, expect: {outcome: denied}}
  - {name: closed, call: {mode: inbound, port: 9090, protocol: tcp, sourceAddress: 127.99.82.1}, expect: {outcome: denied, policy: foo/closed, rule: "ns[foo]-policy[closed]-rule[0]"}}
`;

const mesh = loadMesh([{ name: 'denials', text }]);
const { tests } = meshTestsOf(mesh);
let upstream: TestUpstream;
let proxy: WireProxy;

before(async () => {
  const authority = new TestAuthority();
  upstream = await TestUpstream.start(authority.issue('spiffe://cluster.local/ns/default/sa/upstream'));
  const [first] = tests;
  assert.ok(first !== undefined);
  proxy = await WireProxy.start(mesh, first.proxy, { authority, upstream, authorizer: upstream, address: '127.79.0.1' });
});
after(async () => {
  proxy.stop();
  await upstream.stop();
});

interface Seen {
  /** All that the client was told. */
  readonly told: string;
  readonly info: StreamInfo;
}

/** Sends bytes as a client at this address, reads what comes until the end or a whole answer. */
async function sent(fields: Record<string, unknown>, bytes: string): Promise<Seen> {
  const calls = readCalls(JSON.stringify({ mode: 'inbound', ...fields }));
  const call = calls.ok ? calls.value[0] : undefined;
  assert.ok(call !== undefined);
  const port = proxy.entrance(call, clientSide(proxy.view, call));
  assert.ok(port !== null);
  const socket = connect({ host: proxy.address, port, localAddress: typeof fields['sourceAddress'] === 'string' ? fields['sourceAddress'] : '127.79.0.2' });
  let told = '';
  let client = '';
  const answered = new Promise<void>((resolve, reject) => {
    socket.on('data', (part: Buffer) => {
      told += part.toString('latin1');
      if (/\r\n\r\n[^]*(?:denied|ok)$/.test(told)) resolve();
    });
    socket.once('connect', () => {
      client = `${socket.localAddress}:${socket.localPort}`;
      socket.write(bytes);
    });
    socket.once('close', () => resolve());
    socket.once('error', reject);
  });
  try {
    await withDeadline(answered, 10_000, 'an answer');
    const info = await proxy.entry(client);
    assert.ok(info !== null, 'it is in the access log');
    return { told, info };
  } finally {
    socket.destroy();
  }
}

const get = (path: string, method = 'GET') => sent({ port: 8080, host: 'web.foo', path, method }, `${method} ${path} HTTP/1.1\r\nhost: web.foo\r\n\r\n`);

/** What was counted of RBAC since the last look, by the end of its name. */
function counted(): Record<string, number> {
  const found = Object.fromEntries(proxy.stats.entries({ filter: /rbac/, usedOnly: true }).map(({ name, value }) => [name.replace(/^.*?rbac\./, ''), value]));
  proxy.stats.resetCounters();
  return found;
}

test('a DENY rule is named in the log and the metrics, and not to the client', async () => {
  counted();
  const { told, info } = await get('/admin');
  assert.equal(info.responseCodeDetails, 'rbac_access_denied_matched_policy[ns[foo]-policy[secret-name]-rule[1]]');
  assert.match(told, /^HTTP\/1\.1 403 Forbidden\r\n[^]*\r\n\r\nRBAC: access denied$/);
  assert.doesNotMatch(told, /secret-name|rule|policy|foo\]|matched/i);
  assert.deepEqual(counted(), { denied: 1, 'policy.ns[foo]-policy[secret-name]-rule[1].denied': 1, allowed: 1, 'istio_dry_run_deny_.shadow_allowed': 1 });
});

test('that no ALLOW rule matches is in the log and the metrics, and not told either', async () => {
  const { told, info } = await get('/', 'PUT');
  assert.equal(info.responseCodeDetails, 'rbac_access_denied_matched_policy[none]');
  assert.doesNotMatch(told, /let-in|none|policy|matched/i);
  const { denied } = counted();
  assert.equal(denied, 1);
});

test('AUDIT lets pass, counts its rule and gives the log a hint', async () => {
  const { told, info } = await get('/watched');
  assert.match(told, /^HTTP\/1\.1 200 /);
  assert.deepEqual([info.dynamicMetadata?.['envoy.common'], counted()['policy.ns[foo]-policy[watched]-rule[0].allowed']], [{ access_log_hint: true }, 1]);
  const other = await get('/');
  assert.deepEqual([other.info.dynamicMetadata?.['envoy.common'], counted()['policy.ns[foo]-policy[watched]-rule[0].allowed']], [{ access_log_hint: false }, undefined]);
});

test('dry runs deny nothing; what they would have done is counted and in the log', async () => {
  const { told, info } = await get('/tried');
  assert.match(told, /^HTTP\/1\.1 200 /);
  const all = counted();
  assert.deepEqual(['istio_dry_run_deny_.shadow_denied', 'istio_dry_run_deny_.policy.ns[foo]-policy[tried-deny]-rule[0].shadow_denied', 'istio_dry_run_allow_.shadow_allowed', 'istio_dry_run_allow_.policy.ns[foo]-policy[tried-allow]-rule[0].shadow_allowed'].map((name) => all[name]), [1, 1, 1, 1]);
  const said = info.dynamicMetadata?.['envoy.filters.http.rbac'];
  assert.deepEqual([said?.['istio_dry_run_deny_shadow_engine_result'], said?.['istio_dry_run_deny_shadow_effective_policy_id'], said?.['istio_dry_run_allow_shadow_engine_result']], ['denied', 'ns[foo]-policy[tried-deny]-rule[0]', 'allowed']);
  const { info: other } = await get('/else');
  assert.deepEqual([other.dynamicMetadata?.['envoy.filters.http.rbac']?.['istio_dry_run_allow_shadow_engine_result'], counted()['istio_dry_run_allow_.shadow_denied']], ['denied', 1]);
});

test('a connection that is denied is closed without a word, and named in the log and the metrics', async () => {
  const { told, info } = await sent({ port: 9090, protocol: 'tcp', sourceAddress: '127.99.82.1' }, 'ping\r\n\r\n');
  assert.deepEqual([told, info.connectionTerminationDetails], ['', 'rbac_access_denied_matched_policy[ns[foo]-policy[closed]-rule[0]]']);
  assert.deepEqual([counted()['policy.ns[foo]-policy[closed]-rule[0].denied']], [1]);
  const { told: nothing, info: unmatched } = await sent({ port: 9090, protocol: 'tcp', sourceAddress: '127.99.81.1' }, 'ping\r\n\r\n');
  assert.deepEqual([nothing, unmatched.connectionTerminationDetails, counted()['denied']], ['', 'rbac_access_denied_matched_policy[none]', 1]);
});

test('explain names the same rules', () => {
  assert.deepEqual(runMeshTests(mesh, tests, { nowMs: Date.now() }).map(({ test: { name }, differences }) => [name, differences]), tests.map(({ name }) => [name, []]));
});

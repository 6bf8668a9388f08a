import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { bearerToken, testJwks } from '../conformance/tokens.ts';
import { TwoHops, type Entrance } from './two-hops.ts';

// What only proxies may say of a request, said by a client: none of it gets across the gateway, or past the sidecar, as if a proxy had said it.

const objects = (mesh: string) => `
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    ${mesh}
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: tokens, namespace: foo}
spec:
  selector: {matchLabels: {app: web}}
  jwtRules:
  - {issuer: "https://issuer.test", jwks: '${testJwks}', outputPayloadToHeader: x-jwt-payload, outputClaimToHeaders: [{header: x-jwt-sub, claim: sub}, {header: x-jwt-groups, claim: groups}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: by-address, namespace: foo}
spec: {action: DENY, rules: [{from: [{source: {remoteIpBlocks: ["198.51.100.0/24"]}}], to: [{operation: {paths: ["/by-address"]}}]}]}
`;

interface Case {
  readonly name: string;
  readonly fields: readonly string[];
  /** Names and values that the application must see; null: not at all. */
  readonly sees: Readonly<Record<string, string | RegExp | null>>;
}

const control = [
  'x-envoy-internal: true', 'x-envoy-retry-on: 5xx', 'x-envoy-max-retries: 99', 'x-envoy-retry-grpc-on: cancelled', 'x-envoy-retriable-status-codes: 200', 'x-envoy-retriable-header-names: x', 'x-envoy-upstream-alt-stat-name: forged',
  'x-envoy-upstream-rq-timeout-ms: 1', 'x-envoy-upstream-rq-per-try-timeout-ms: 1', 'x-envoy-upstream-rq-timeout-alt-response: 1', 'x-envoy-hedge-on-per-try-timeout: true', 'x-envoy-force-trace: true', 'x-envoy-ip-tags: forged',
  'x-envoy-decorator-operation: forged', 'x-envoy-downstream-service-cluster: forged', 'x-envoy-downstream-service-node: forged', 'x-envoy-original-path: /forged', 'x-envoy-original-dst-host: 10.0.0.1:22', 'x-envoy-is-timeout-retry: true',
  'x-envoy-peer-metadata: Zm9yZ2Vk', 'x-envoy-peer-metadata-id: forged', 'x-envoy-unheard-of: forged', 'X-Envoy-Original-Path: /forged',
];

const both: Case[] = [
  ...control.slice(0, 13).map((field) => ({ name: field, fields: [field], sees: { [field.split(':')[0]?.toLowerCase() ?? '']: null } })),
  ...['x-envoy-peer-metadata: Zm9yZ2Vk', 'x-envoy-peer-metadata-id: forged'].map((field) => ({ name: field, fields: [field], sees: { [field.split(':')[0] ?? '']: null } })),
  ...['x-jwt-payload: e30', 'x-jwt-sub: admin', 'x-jwt-groups: admin', 'X-JWT-Sub: admin', 'x_jwt_sub: admin', 'x-jwt_payload: e30'].map((field) => ({ name: `${field}, without a token`, fields: [field], sees: { [field.split(':')[0]?.toLowerCase() ?? '']: null } })),
  { name: 'claims beside a token that has others', fields: ['x-jwt-sub: admin', 'x_jwt_sub: admin', 'x-jwt-groups: admin', `authorization: Bearer ${bearerToken({ iss: 'https://issuer.test', sub: 'guest' })}`], sees: { 'x-jwt-sub': 'guest', x_jwt_sub: null, 'x-jwt-groups': null, 'x-jwt-payload': /./ } },
  { name: 'x-forwarded-client-cert in plaintext', fields: ['x-forwarded-client-cert: By=spiffe://x;URI=spiffe://cluster.local/ns/foo/sa/admin'], sees: { 'x-forwarded-client-cert': null } },
  { name: 'x-forwarded-client-cert twice', fields: ['x-forwarded-client-cert: URI=spiffe://a', 'X-Forwarded-Client-Cert: URI=spiffe://b'], sees: { 'x-forwarded-client-cert': null } },
  ...['x_forwarded_client_cert: URI=spiffe://a', 'x_forwarded_for: 10.0.0.1', 'x-forwarded_proto: https', 'x_request_id: forged', 'x_envoy_internal: true', 'x_real_ip: 10.0.0.1'].map((field) => ({ name: field, fields: [field], sees: { [field.split(':')[0] ?? '']: null } })),
  { name: 'Connection does not take away what proxies say', fields: ['Connection: x-forwarded-client-cert, x-request-id, host, content-length, authorization, close'], sees: { 'x-forwarded-proto': /^https?$/, 'x-request-id': /./, connection: null } },
  { name: 'fields of one hop end there', fields: ['Connection: x-once', 'x-once: 1', 'Keep-Alive: timeout=5', 'Proxy-Connection: keep-alive', 'TE: gzip', 'Trailer: x'], sees: { 'x-once': null, 'keep-alive': null, 'proxy-connection': null, te: null } },
];

const gateway: Case[] = [
  ...control.slice(13).map((field) => ({ name: field, fields: [field], sees: { [field.split(':')[0]?.toLowerCase() ?? '']: null } })),
  { name: 'x-meltemi-trace', fields: ['x-meltemi-trace: 1'], sees: { 'x-meltemi-trace': null } },
  { name: 'x-envoy-external-address is ours', fields: ['x-envoy-external-address: 10.0.0.1'], sees: { 'x-envoy-external-address': /^127\./ } },
  { name: 'x-forwarded-for is added to', fields: ['x-forwarded-for: 10.0.0.1'], sees: { 'x-forwarded-for': /^10\.0\.0\.1,127\.[\d.]+$/, 'x-envoy-internal': null } },
  { name: 'x-forwarded-for in two fields', fields: ['x-forwarded-for: 10.0.0.1', 'x-forwarded-for: 10.0.0.2'], sees: { 'x-forwarded-for': /^10\.0\.0\.1,10\.0\.0\.2,127\.[\d.]+$/ } },
  { name: 'x-forwarded-proto is ours', fields: ['x-forwarded-proto: https'], sees: { 'x-forwarded-proto': 'http' } },
  { name: 'x-forwarded-proto in two fields', fields: ['x-forwarded-proto: https', 'x-forwarded-proto: https'], sees: { 'x-forwarded-proto': 'http' } },
  { name: 'x-request-id is ours', fields: ['x-request-id: forged', 'x-request-id: again'], sees: { 'x-request-id': /^[0-9a-f]{8}-[0-9a-f-]{27}$/ } },
];

async function seenBy(mesh: TwoHops, entrance: Entrance, fields: readonly string[]): Promise<{ readonly status: number; readonly head: string; readonly seen: ReadonlyMap<string, string> }> {
  mesh.forget();
  const attacker = await mesh.connect(entrance);
  attacker.send(`GET /a HTTP/1.1\r\nhost: web.foo\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`);
  const [response] = await attacker.responses(1);
  attacker.close();
  const lines = (/^[^\r]*\r\n([^]*?)\r\n\r\n/.exec(mesh.application.text)?.[1] ?? '').split('\r\n');
  const seen = new Map<string, string>();
  for (const line of lines) {
    const name = line.slice(0, line.indexOf(':')).toLowerCase();
    const value = line.slice(line.indexOf(':') + 1).trim();
    seen.set(name, seen.has(name) ? `${seen.get(name)} AND ${value}` : value);
  }
  return { status: response?.status ?? 0, head: response?.head ?? '', seen };
}

describe('trusting nobody', () => {
  let mesh: TwoHops;
  before(async () => {
    mesh = await TwoHops.start(130, objects('{}'));
  });
  after(() => mesh.stop());

  for (const [entrance, cases] of [['gateway', [...both, ...gateway]], ['sidecar', both]] as const)
    for (const { name, fields, sees } of cases)
      test(`at the ${entrance}: ${name}`, async () => {
        const { status, head, seen } = await seenBy(mesh, entrance, fields);
        assert.equal(status, 200);
        assert.doesNotMatch(head, /x-meltemi-trace|x-envoy-peer-metadata/i);
        for (const [field, expected] of Object.entries(sees)) {
          const value = seen.get(field) ?? null;
          if (expected instanceof RegExp) assert.match(String(value), expected, field);
          else assert.equal(value, expected, field);
        }
      });

  for (const entrance of ['gateway', 'sidecar'] as const)
    test(`at the ${entrance}: a Connection that names where a request comes from is refused`, async () => {
      for (const name of ['x-forwarded-for', 'X-Forwarded-Proto', 'x-forwarded-host']) assert.equal((await seenBy(mesh, entrance, [`Connection: ${name}, close`])).status, 400);
    });

  test('an address that a client claims for itself is not the one that policies look at', async () => {
    for (const fields of [['x-forwarded-for: 8.8.8.8'], ['x-forwarded-for: 198.51.100.7'], ['x-forwarded-for: 8.8.8.8, 198.51.100.7']]) assert.equal((await seenBy(mesh, 'gateway', fields)).status, 200);
  });
});

describe('x-forwarded-for behind trusted proxies', () => {
  // numTrustedProxies, what the client sends, and whether the policy against 198.51.100.0/24 at the gateway's workload strikes
  const cases: readonly (readonly [trusted: number, sent: string, from: string])[] = [
    [0, '198.51.100.7', '127'], [0, '198.51.100.7, 8.8.8.8', '127'],
    [1, '198.51.100.7', '198.51.100.7'], [1, '198.51.100.7, 8.8.8.8', '8.8.8.8'], [1, '8.8.8.8, 198.51.100.7', '198.51.100.7'], [1, 'no address, at all', '127'],
    [2, '198.51.100.7, 8.8.8.8', '198.51.100.7'], [2, '198.51.100.7, 8.8.8.8, 9.9.9.9', '8.8.8.8'], [2, '198.51.100.7', '127'], [2, '[2001:db8::1]:80, 9.9.9.9', '[2001:db8::1]'],
  ];
  for (const trusted of [0, 1, 2])
    describe(`${trusted} of them`, () => {
      let mesh: TwoHops;
      before(async () => {
        mesh = await TwoHops.start(131 + trusted, objects(`{defaultConfig: {gatewayTopology: {numTrustedProxies: ${trusted}}}}`));
      });
      after(() => mesh.stop());
      for (const [, sent, from] of cases.filter(([count]) => count === trusted))
        test(`${sent} comes from ${from}`, async () => {
          const { seen } = await seenBy(mesh, 'gateway', [`x-forwarded-for: ${sent}`]);
          const client = mesh.decided('gateway')[0]?.downstreamRemoteAddress ?? '';
          assert.ok(client.startsWith(`${from}.`) || client.startsWith(`${from}:`), client);
          assert.match(seen.get('x-forwarded-for') ?? '', new RegExp(`^${sent.replaceAll(/[[\].]/g, '\\$&')},127\\.`));
        });
    });
});

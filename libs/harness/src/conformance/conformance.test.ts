import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { formatFieldErrors } from '@meltemi/base';
import { loadMesh, meshTestsOf, originText, runMeshTests, type MeshTest } from '@meltemi/explain';
import { askWire, type WireAnswer } from './ask-wire.ts';
import { TestAuthority } from './certificates.ts';
import { GrpcAuthorizer } from './grpc-authorizer.ts';
import { KeyIssuer } from './key-issuer.ts';
import { withTokens } from './tokens.ts';
import { TestUpstream } from './upstream.ts';
import { WireProxy, type Surroundings } from './wire-proxy.ts';

// Each case is a YAML file: objects as users write them, and a MeshTest that says what becomes of calls. It runs twice: through explain, and on the wire.

const cases = new URL('./cases/', import.meta.url);
const only = process.env['CASES'];
const files = readdirSync(cases).filter((name) => name.endsWith('.yaml') && (only === undefined || name.includes(only))).sort();
const authority = new TestAuthority();
/** Before the cases are read: they name its port. */
const issuer = await KeyIssuer.start();
let upstream: TestUpstream;
let authorizer: TestUpstream;
let grpcAuthorizer: GrpcAuthorizer;

before(async () => {
  upstream = await TestUpstream.start(authority.issue('spiffe://cluster.local/ns/default/sa/upstream'));
  authorizer = await TestUpstream.start(authority.issue('spiffe://cluster.local/ns/default/sa/upstream'));
  grpcAuthorizer = await GrpcAuthorizer.start();
});
after(async () => {
  await issuer.stop();
  await upstream.stop();
  await authorizer.stop();
  grpcAuthorizer.stop();
});

for (const [number, file] of files.entries()) {
  const written = readFileSync(new URL(file, cases), 'utf8');
  const load = () => loadMesh([{ name: file, text: withTokens(written).replaceAll('${ISSUER}', issuer.url) }]);
  const mesh = load();
  const { tests, problems } = meshTestsOf(mesh);
  describe(file, () => {
    test('its objects and tests are read', () => {
      assert.deepEqual(problems.map(({ origin, errors }) => `${originText(origin)}: ${formatFieldErrors(errors)}`), []);
      assert.deepEqual(mesh.setAside.filter(({ origin }) => origin.kind === '' || origin.kind === 'MeshTest').map(({ errors }) => formatFieldErrors(errors)), []);
      assert.ok(tests.length > 0, 'there is no MeshTest');
    });
    for (const { test: one, differences, answer } of runMeshTests(mesh, tests, { nowMs: Date.now() }))
      test(`explain: ${one.name}`, () => assert.deepEqual(differences, [], (answer?.steps ?? []).map((step) => `${step.matched ? '+' : '-'} ${step.at} ${step.name}: ${step.detail}`).join('\n')));
    const byProxy = new Map<string, MeshTest[]>();
    for (const one of tests) byProxy.set(JSON.stringify(one.proxy), [...(byProxy.get(JSON.stringify(one.proxy)) ?? []), one]);
    for (const [at, group] of [...byProxy.values()].entries()) onTheWire({ mesh, group, address: `127.${80 + at}.${number >> 8}.${(number & 255) || 250}`, reload: () => (written.includes('${TOKEN_') ? meshTestsOf(load()).tests : tests) });
  });
}

interface WireRun {
  readonly mesh: Parameters<typeof WireProxy.start>[0];
  readonly group: readonly MeshTest[];
  readonly address: string;
  /** All tests with tokens of this moment: minutes may have gone by since the file was read. */
  readonly reload: () => readonly MeshTest[];
}

function onTheWire({ mesh, group, address, reload }: WireRun): void {
  const [first] = group;
  if (first === undefined) return;
  describe('on the wire', () => {
    let proxy: WireProxy;
    let surroundings: Surroundings;
    let calls: ReadonlyMap<string, MeshTest['call']>;
    before(async () => {
      calls = new Map(reload().map(({ name, call }) => [name, call]));
      surroundings = { authority, upstream, authorizer, grpcAuthorizer, keySets: await issuer.keySetsFor(mesh.configs), address };
      proxy = await WireProxy.start(mesh, first.proxy, surroundings);
    });
    after(() => proxy.stop());
    for (const one of group)
      test(`wire: ${one.name}`, async () => {
        const answer = await askWire(proxy, calls.get(one.name) ?? one.call, surroundings);
        assert.deepEqual(differences(answer, one), [], JSON.stringify(answer));
      });
  });
}

/** Of the names in an answer, a client and the access log can see these. */
const visible = ['status', 'grpcStatus', 'location', 'cluster', 'route', 'rule', 'path', 'authority'] as const;

function differences(answer: WireAnswer, { call, expect }: MeshTest): string[] {
  const found: string[] = [];
  // a client sees one 404 for both
  const outcome = expect.outcome === 'no_virtual_host' ? 'no_route' : expect.outcome;
  // and its handshake fails alike
  const sameToClient = outcome === 'no_filter_chain' && call.tls !== 'none' && answer.outcome === 'tls_error';
  if (answer.outcome !== outcome && !sameToClient) found.push(`outcome: expected ${outcome}, is ${answer.outcome}`);
  const weighted = expect.clusters?.filter(({ weight }) => weight > 0).map(({ name }) => name);
  if (weighted && weighted.length > 0 && !weighted.includes(answer.cluster ?? '')) found.push(`cluster: expected one of ${weighted.join(', ')}, is ${answer.cluster}`);
  for (const field of visible) {
    if (expect[field] === undefined || (field === 'cluster' && weighted)) continue;
    // an upstream that does not exist has status 503 in explain, and on the wire
    if (answer[field] !== expect[field]) found.push(`${field}: expected ${JSON.stringify(expect[field])}, is ${JSON.stringify(answer[field])}`);
  }
  return found;
}

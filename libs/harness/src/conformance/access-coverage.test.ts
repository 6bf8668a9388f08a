import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadMesh, meshTestsOf, type MeshTest } from '@meltemi/explain';
import type { AuthorizationPolicySpec } from '@meltemi/config';
import { withTokens } from './tokens.ts';

// The cases about who gets in: how many there are, and what they are about.

const cases = new URL('./cases/', import.meta.url);
const meshes = readdirSync(cases).filter((name) => /^(authz|jwt|peer)-?.*\.yaml$/.test(name)).map((name) => loadMesh([{ name, text: withTokens(readFileSync(new URL(name, cases), 'utf8')) }]));
const tests = meshes.flatMap((mesh) => meshTestsOf(mesh).tests);
const policies = meshes.flatMap(({ configs }) => configs.filter(({ key }) => key.kind === 'AuthorizationPolicy').map(({ spec }) => spec as AuthorizationPolicySpec));

const refusals: ReadonlySet<string> = new Set(['denied', 'tls_error', 'mtls_error', 'no_filter_chain']);
const isRefused = ({ expect }: MeshTest) => refusals.has(expect.outcome);
const isAllowed = ({ expect }: MeshTest) => expect.outcome === 'routed';

test('there are at least 300 cases of allow and deny, of both many over each protocol', () => {
  assert.ok(tests.filter((one) => isAllowed(one) || isRefused(one)).length >= 300);
  for (const [protocol, least] of [['http', 100], ['http2', 30], ['grpc', 15], ['tcp', 30]] as const) {
    const [allowed, refused] = [isAllowed, isRefused].map((is) => tests.filter((one) => one.call.protocol === protocol && is(one)).length);
    assert.ok((allowed ?? 0) >= least / 2 && (refused ?? 0) >= least / 2 && (allowed ?? 0) + (refused ?? 0) >= least, `${protocol}: ${allowed} allowed, ${refused} refused`);
  }
});

const bothWays = (fields: readonly string[]) => fields.flatMap((field) => [field, `not${field[0]?.toUpperCase()}${field.slice(1)}`]);

test('every field of sources and operations is in a case, positive and negative', () => {
  const used = new Set(policies.flatMap(({ rules = [] }) => rules.flatMap(({ from, to }) => [...from.map(({ source }) => source), ...to.map(({ operation }) => operation)])).flatMap((one) => Object.entries(one).flatMap(([field, values]) => ((values as readonly string[] | undefined)?.length ? [field] : []))));
  const wanted = bothWays(['principals', 'requestPrincipals', 'namespaces', 'serviceAccounts', 'ipBlocks', 'remoteIpBlocks', 'hosts', 'ports', 'methods', 'paths']);
  assert.deepEqual(wanted.filter((field) => !used.has(field)), []);
});

test('every condition is in a case, positive and negative', () => {
  const used = new Set(policies.flatMap(({ rules = [] }) => rules.flatMap(({ when }) => when)).flatMap(({ key, values, notValues }) => {
    const name = key.replace(/\[.*$/, '');
    return [...(values.length > 0 ? [name] : []), ...(notValues.length > 0 ? [`not ${name}`] : [])];
  }));
  const keys = ['request.headers', 'source.ip', 'remote.ip', 'source.namespace', 'source.principal', 'source.serviceAccount', 'request.auth.principal', 'request.auth.audiences', 'request.auth.presenter', 'request.auth.claims', 'destination.ip', 'destination.port', 'connection.sni'];
  assert.deepEqual(keys.flatMap((key) => [key, `not ${key}`]).filter((key) => !used.has(key)), []);
});

test('every action is in a case', () => {
  const used = new Set(policies.map(({ action }) => action));
  assert.deepEqual(['ALLOW', 'DENY', 'AUDIT', 'CUSTOM'].filter((action) => !used.has(action as AuthorizationPolicySpec['action'])), []);
});

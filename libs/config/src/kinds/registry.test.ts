import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findKind, kindByAlias, kinds } from './registry.ts';

test('no kind is registered twice', () => {
  const names = kinds.map((kind) => `${kind.group}/${kind.kind}`);
  assert.deepEqual(names.filter((name, i) => names.indexOf(name) !== i), []);
});

test('kinds are found by what users type', () => {
  for (const [text, kind] of [
    ['vs', 'VirtualService'],
    ['VirtualServices', 'VirtualService'],
    ['virtualservice.networking.istio.io', 'VirtualService'],
    ['svc', 'Service'],
    ['gw', 'Gateway'],
    ['pa', 'PeerAuthentication'],
    ['policies.authentication.istio.io', 'Policy'],
  ] as const)
    assert.equal(kindByAlias(text)?.kind, kind, text);
  assert.equal(kindByAlias('nonsense'), undefined);
  assert.equal(kindByAlias('vs.security.istio.io'), undefined);
});

test('kinds in manifests are matched to the letter', () => {
  assert.equal(findKind('networking.istio.io', 'virtualservice'), undefined);
  assert.equal(findKind('apps', 'Deployment')?.plural, 'deployments');
});

/** Istio never made a second version of these. */
const oneVersion = ['EnvoyFilter', 'ProxyConfig'];

test('every acting Istio kind of networking has the three versions users have', () => {
  for (const kind of kinds) if (kind.group === 'networking.istio.io' && kind.acts === 'full' && !oneVersion.includes(kind.kind)) assert.deepEqual(kind.versions, ['v1', 'v1beta1', 'v1alpha3'], kind.kind);
});

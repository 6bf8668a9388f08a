import assert from 'node:assert/strict';
import { test } from 'node:test';
import { meshNetworksFrom, type MeshNetworksSpec } from '@meltemi/config';
import { loadMesh } from './load.ts';

const map = (domain: string, networks = '') => ({ name: 'map.yaml', text: `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\ndata:\n  mesh: "trustDomain: ${domain}"\n${networks === '' ? '' : `  meshNetworks: "networks: {${networks}: {endpoints: [{fromRegistry: c}], gateways: [{address: 1.1.1.1, port: 15443}]}}"\n`}` });
const bare = (domain: string) => ({ name: 'mesh.yaml', text: `trustDomain: ${domain}\n` });
const networks = (name: string) => ({ name: 'networks.yaml', text: `networks: {${name}: {endpoints: [{fromRegistry: c}], gateways: [{address: 1.1.1.1, port: 15443}]}}\n` });

test('settings: a file of their own before a document among the files, that before the ConfigMap, that before the defaults', () => {
  const domain = (...args: Parameters<typeof loadMesh>) => loadMesh(...args).meshConfig.trustDomain;
  assert.equal(domain([map('map.test'), bare('bare.test')], { meshConfig: bare('file.test') }), 'file.test');
  assert.equal(domain([map('map.test'), bare('bare.test')], { meshConfig: map('other-map.test') }), 'other-map.test');
  assert.equal(domain([map('map.test'), bare('bare.test')]), 'bare.test');
  assert.equal(domain([map('map.test')]), 'map.test');
  assert.equal(domain([], { meshConfig: { name: 'empty.yaml', text: '' } }), loadMesh([]).meshConfig.trustDomain);
});

test('networks come from a file of their own, as such or in a ConfigMap, before those among the files', () => {
  const named = (...args: Parameters<typeof loadMesh>) => loadMesh(...args).configs.flatMap((config) => {
    if (config.key.kind === 'MeshNetworks') return Object.keys((config.spec as MeshNetworksSpec).networks);
    return meshNetworksFrom(config)?.ok ? ['in the map'] : [];
  });
  assert.deepEqual(named([networks('among')], { meshNetworks: networks('own') }), ['own']);
  assert.deepEqual(named([networks('among')], { meshNetworks: map('x', 'mapped') }), ['mapped']);
  assert.deepEqual(named([networks('among')]), ['among']);
});

test('settings that cannot be read are set aside by name', () => {
  const { setAside } = loadMesh([], { meshConfig: { name: 'wrong.yaml', text: 'trustDomian: x\noutboundTrafficPolicy: {mode: SOME}\n' } });
  assert.ok(setAside.length > 0 && setAside.every(({ origin }) => origin.file === 'wrong.yaml'));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { formatFieldErrors } from '@meltemi/base';
import { xdsType } from '@meltemi/xds';
import { readDiscoveryFile } from './discovery-file.ts';

const cluster = '"@type": type.googleapis.com/envoy.config.cluster.v3.Cluster';
const read = (text: string, name = 'cds.yaml') => readDiscoveryFile(name, Buffer.from(text), xdsType.cluster);
const refused = (text: string) => {
  const result = read(text);
  return result.ok ? '' : formatFieldErrors(result.error);
};

test('a file has the version it states, else one of its content', () => {
  const one = read(`version_info: "7"\nresources: [{ ${cluster}, name: a }]`);
  assert.ok(one.ok);
  assert.deepEqual([one.value.version, one.value.resources.map(({ name }) => name)], ['7', ['a']]);
  const [first, again, other] = ['a', 'a', 'b'].map((name) => read(`resources: [{ ${cluster}, name: ${name} }]`));
  assert.ok(first?.ok && again?.ok && other?.ok);
  assert.equal(first.value.version, again.value.version);
  assert.notEqual(first.value.version, other.value.version);
});

test('what is wrong is named by its place: syntax, fields, types, names', () => {
  assert.match(refused('resources: ['), /line 1/);
  assert.match(refused(''), /is empty/);
  assert.match(refused(`resources: [{ ${cluster}, nam: a }]`), /resources\[0\]\.nam: is not a field/);
  assert.match(refused('resources: [{ "@type": type.googleapis.com/envoy.config.listener.v3.Listener, name: a }]'), /resources\[0\]: is a LDS resource: this file is read for CDS/);
  assert.match(refused(`resources: [{ ${cluster}, name: a }, { ${cluster}, name: a }]`), /resources\[1\]\.name: "a" is taken/);
  assert.match(refused(`resources: [{ ${cluster} }]`), /resources\[0\]\.name: is required/);
});

test('no bytes make the reader throw', () => {
  fc.assert(fc.property(fc.oneof(fc.uint8Array(), fc.string().map((text) => new TextEncoder().encode(text)), fc.json().map((text) => new TextEncoder().encode(text))), fc.constantFrom('x.pb', 'x.yaml', 'x.json'), (bytes, name) => {
    readDiscoveryFile(name, Buffer.from(bytes), xdsType.cluster);
  }), { numRuns: 300 });
});

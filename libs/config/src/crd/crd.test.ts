import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { virtualService } from '../kinds/virtual-service/kind.ts';
import { customResourceDefinition, kindsWithDefinition } from './definition.ts';
import { jsonSchemaBreaches } from './json-schema.ts';

const specSchema = (kind: typeof virtualService): Readonly<Record<string, unknown>> => Object(customResourceDefinition(kind).spec.versions[0]?.schema.openAPIV3Schema['properties']).spec;
const breaches = (yaml: string): string[] => jsonSchemaBreaches(specSchema(virtualService), parse(yaml));

test('every kind of Istio’s groups has a definition with one version stored and status as a subresource', () => {
  const crds = kindsWithDefinition().map(customResourceDefinition);
  assert.equal(crds.length, 15);
  for (const { metadata, spec } of crds) {
    assert.equal(spec.versions.filter((version) => version.storage).length, 1, metadata.name);
    assert.ok(spec.versions.every((version) => 'status' in version.subresources && version.served), metadata.name);
  }
});

test('the structural schema refuses wrong types, missing fields and two of a oneof, and lets the rest pass', () => {
  assert.deepEqual(breaches('{hosts: [a], http: [{match: [{uri: {prefix: /}}], route: [{destination: {host: a, port: {number: 80}}, weight: 1}]}]}'), []);
  assert.match(breaches('{hosts: a}').join(), /hosts: must be of type array/);
  assert.match(breaches('{http: [{route: [{destination: {subset: a}}]}]}').join(), /http\[0\].route\[0\].destination.host: is required/);
  assert.match(breaches('{http: [{match: [{uri: {prefix: a, exact: b}}]}]}').join(), /exactly one alternative/);
  assert.match(breaches('{http: [{match: [{port: -1}]}]}').join(), /below 0/);
});

// Structural: properties, items and additionalProperties say their type; alternatives say only which keys are there.
test('every schema is structural', () => {
  const untyped: string[] = [];
  const walk = (schema: unknown, path: string): void => {
    const { type, properties, items, additionalProperties, oneOf, allOf } = Object(schema);
    const open = Object(schema)['x-kubernetes-preserve-unknown-fields'] === true || Object(schema)['x-kubernetes-int-or-string'] === true;
    if (typeof type !== 'string' && !open) untyped.push(path);
    for (const [name, inner] of Object.entries(Object(properties))) walk(inner, `${path}.${name}`);
    if (items !== undefined) walk(items, `${path}[]`);
    if (additionalProperties !== undefined) walk(additionalProperties, `${path}{}`);
    if (/"(type|properties|items)":/.test(JSON.stringify([oneOf, allOf]))) untyped.push(`${path} (alternatives)`);
  };
  for (const kind of kindsWithDefinition()) walk(customResourceDefinition(kind).spec.versions[0]?.schema.openAPIV3Schema, kind.kind);
  assert.deepEqual(untyped, []);
});

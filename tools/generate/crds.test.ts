import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { jsonSchemaBreaches } from '@meltemi/config';
import { parseAllDocuments, parse } from 'yaml';
import { crdFiles, staleFiles } from './crds.ts';

const repository = join(import.meta.dirname, '../..');

test('deploy/crds is what the schemas say', () => {
  assert.deepEqual(staleFiles(repository, crdFiles()), [], 'run: npm run generate');
});

test('every sample of the repository fits the definition of its kind', () => {
  const schemas = new Map<string, Readonly<Record<string, unknown>>>();
  for (const name of readdirSync(join(repository, 'deploy/crds'))) {
    const { spec } = parse(readFileSync(join(repository, 'deploy/crds', name), 'utf8'));
    for (const version of spec.versions) schemas.set(`${spec.group}/${version.name} ${spec.names.kind}`, version.schema.openAPIV3Schema);
  }
  let checked = 0;
  for (const file of readdirSync(join(repository, 'deploy'), { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml') && !name.startsWith('crds'))) {
    for (const document of parseAllDocuments(readFileSync(join(repository, 'deploy', file), 'utf8'))) {
      const content = document.toJS();
      const schema = schemas.get(`${content?.apiVersion} ${content?.kind}`);
      if (schema === undefined) continue;
      checked++;
      assert.deepEqual(jsonSchemaBreaches(schema, content), [], file);
    }
  }
  assert.ok(checked > 30, `only ${checked} samples were checked`);
});

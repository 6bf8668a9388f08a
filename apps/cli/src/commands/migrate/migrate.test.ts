import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { runMeltemi } from '../../testing/run-meltemi.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-migrate-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const root = join(import.meta.dirname, '../../../../..');
const entry = 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: db}\nspec:\n  hosts: [db]\n  tcp:\n  - match: [{sourceSubnet: 10.0.0.0/8}]\n    route: [{destination: {host: db}}]\n';
writeFileSync(join(dir, 'tcp.yaml'), entry);

test('migrate finds nothing unsupported in our own samples, and exits 0', async () => {
  const ran = await runMeltemi(dir, ['migrate', join(root, 'deploy/samples/bookinfo')]);
  assert.equal(ran.code, 0, ran.out + ran.err);
  assert.match(ran.out, /^\d+ files: \d+ objects supported, 0 approximated, 0 unsupported; \d+ are none of Istio's/);
});

test('migrate names the object, the field, its line and the consequence, and exits 1', async () => {
  const ran = await runMeltemi(dir, ['migrate', '.']);
  assert.equal(ran.code, 1);
  assert.match(ran.out, /tcp\.yaml:7 +VirtualService default\/db +spec\.tcp\[0\]\.match\[0\]\.sourceSubnet +unsupported +has no effect/);
  assert.match(ran.out, /1 unsupported\.$/m);
});

test('migrate writes JSON and YAML of the same report', async () => {
  const json = await runMeltemi(dir, ['migrate', 'tcp.yaml', '-o', 'json']);
  const yaml = await runMeltemi(dir, ['migrate', 'tcp.yaml', '-o', 'yaml']);
  const report = JSON.parse(json.out) as { summary: { files: number }; objects: { fields: { field: string; classification: string }[] }[] };
  assert.deepEqual(parse(yaml.out), report);
  assert.equal(report.summary.files, 1);
  assert.deepEqual(report.objects[0]?.fields.filter((field) => field.classification !== 'supported').map((field) => field.field), ['spec.tcp[0].match[0].sourceSubnet']);
});

test('migrate of what does not exist says so', async () => {
  const ran = await runMeltemi(dir, ['migrate', 'nowhere']);
  assert.deepEqual([ran.code, /no such file/.test(ran.err)], [1, true]);
});

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runMeltemi } from '../../testing/run-meltemi.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-hostile-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const head = (name: string) => `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: ${name}, namespace: default}\n`;
/** Each line ten of the one before: a thousand million words, were they written out. */
const laughs = `  a0: &a0 [${'ha, '.repeat(9)}ha]\n${Array.from({ length: 9 }, (_, n) => `  a${n + 1}: &a${n + 1} [${Array.from({ length: 10 }, () => `*a${n}`).join(', ')}]\n`).join('')}`;
const files = {
  'aliases.yaml': `${head('aliases')}spec:\n  hosts: [a]\n${laughs}`,
  'self.yaml': `${head('self')}spec: &self\n  hosts: [a]\n  http: [*self]\n`,
  'maps.yaml': `${head('maps')}spec: ${'{a: '.repeat(20_000)}1${'}'.repeat(20_000)}\n`,
  'lists.yaml': `${head('lists')}spec: ${'['.repeat(100_000)}${']'.repeat(100_000)}\n`,
  'merges.yaml': `${head('merges')}spec:\n  m0: &m0 {a: 1}\n${Array.from({ length: 30 }, (_, n) => `  m${n + 1}: &m${n + 1} {<<: [*m${n}, *m${n}]}\n`).join('')}`,
  'good.yaml': 'apiVersion: v1\nkind: Service\nmetadata: {name: good, namespace: default}\nspec: {ports: [{port: 80}]}\n',
};

test('files that grow when they are read are named as such by analyze and validate, in seconds, and the others are looked at', async () => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
  const began = performance.now();
  const [analyzed, validated] = await Promise.all([runMeltemi(dir, ['analyze', dir]), runMeltemi(dir, ['validate', '-f', dir])]);
  assert.ok(performance.now() - began < 30_000, `${Math.round(performance.now() - began)} ms`);
  for (const name of Object.keys(files).filter((one) => one !== 'good.yaml')) {
    assert.ok(analyzed.out.includes(name), `analyze: ${name} in ${analyzed.out}`);
    assert.ok(`${validated.out}${validated.err}`.includes(name), `validate: ${name}`);
  }
  assert.match(analyzed.out, /Service good\.default/);
  assert.deepEqual([analyzed.code === 0, validated.code], [false, 1]);
});

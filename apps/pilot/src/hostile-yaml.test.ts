import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import { ItemResult_Action, type ApplyResponse } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor } from '@meltemi/base';
import { reviews, route } from './testing/manifests.ts';
import { PilotProgram } from './testing/pilot-program.ts';

const pilot = new PilotProgram();
before(() => pilot.start());
after(() => pilot.remove());

/** Each line ten of the one before: a thousand million words, were they written out. */
const laughs = `a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n${Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array.from({ length: 10 }, () => `*a${n}`).join(', ')}]\n`).join('')}`;
const bomb = `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: bomb, namespace: default}\nspec:\n  hosts: [a]\n${laughs.replace(/^/gm, '  ')}`;

/** Apply of a text that is not made by anything honest. */
function apply(json: string): Promise<ApplyResponse> {
  return new Promise((resolve, reject) => pilot.api().apply({ items: [{ json, expectedResourceVersion: '' }], defaultNamespace: 'default', dryRun: false }, new Metadata(), { deadline: Date.now() + 15_000 }, (error: ServiceError | null, response) => (error ? reject(error) : resolve(response))));
}

test('a YAML bomb is refused by apply and set aside in a directory, and all else goes on', async () => {
  const started = Date.now();
  const applied = await pilot.apply(bomb);
  assert.equal(applied.code, 1);
  assert.match(applied.err, /alias/i);
  pilot.write('bomb.yaml', bomb);
  pilot.write('reviews.yaml', reviews);
  await waitFor('the honest file', async () => (await pilot.list('Service')).objects.some(({ key }) => key?.name === 'reviews'), { deadlineMs: 10_000 });
  await waitFor('the complaint about the other', async () => (await pilot.list()).problems.some(({ file, message }) => /bomb\.yaml/.test(file) && /alias/i.test(message)), { deadlineMs: 10_000 });
  assert.ok(Date.now() - started < 30_000);
});

test('an object nested a hundred thousand deep is refused, and pilot lives', async () => {
  const deep = `{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"deep"},"spec":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`;
  const outcome = await apply(deep).then(({ results }) => results[0]?.action, () => ItemResult_Action.REFUSED);
  assert.equal(outcome, ItemResult_Action.REFUSED);
  const foreign = `{"apiVersion":"example.org/v1","kind":"Deep","metadata":{"name":"deep"},"spec":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  await apply(foreign).catch(() => undefined);
  assert.equal((await pilot.apply(route('v1'))).code, 0);
});

test('names that point elsewhere are refused, and nothing is written outside of the store', async () => {
  const files = () => readdirSync(pilot.dir, { recursive: true, encoding: 'utf8' }).filter((name) => /evil/.test(name));
  for (const [name, namespace] of [['../../evil', 'default'], ['evil', '../../evil'], ['/evil', 'default'], ['evil\u0000', 'default'], ['..', 'default']] as const) {
    const outcome = await apply(JSON.stringify({ apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name, namespace }, spec: { hosts: ['a'], http: [{ route: [{ destination: { host: 'a' } }] }] } })).then(({ results }) => results[0]?.action, () => ItemResult_Action.REFUSED);
    assert.equal(outcome, ItemResult_Action.REFUSED, `${namespace}/${name}`);
  }
  assert.deepEqual(files(), []);
});

test('keys of JavaScript’s own do nothing to it', async () => {
  await apply('{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"proto","__proto__":{"polluted":true}},"__proto__":{"polluted":true},"spec":{"__proto__":{"hosts":["x"]},"constructor":{"prototype":{"polluted":true}}}}').catch(() => undefined);
  assert.equal((await pilot.apply(route('v2'))).code, 0);
  assert.doesNotMatch(JSON.stringify((await pilot.list('VirtualService')).objects.filter(({ key }) => key?.name === 'reviews')), /polluted/);
});

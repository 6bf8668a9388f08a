import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { packageFolderOf, sbomOf, type Sbom } from './sbom.ts';

const repository = resolve(import.meta.dirname, '../..');
const apps = ['bookinfo', 'citadel', 'cli', 'echo', 'pilot', 'proxy', 'telemetry'];

/** Packages by what the bundle itself shows: the sources its source maps name, and the folders it carries. */
function packagesInside(dist: string): string[] {
  const ofSources = readdirSync(dist).filter((file) => file.endsWith('.js.map')).flatMap((file) => (JSON.parse(readFileSync(join(dist, file), 'utf8')) as { sources: string[] }).sources.map((source) => resolve(dist, source)));
  const carried = join(dist, 'node_modules');
  const folders = existsSync(carried) ? readdirSync(carried).flatMap((name) => (name.startsWith('@') ? readdirSync(join(carried, name)).map((inner) => join(carried, name, inner)) : [join(carried, name)])) : [];
  return [...new Set([...ofSources.flatMap((source) => packageFolderOf(source) ?? []), ...folders].map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(existsSync(join(folder, 'package.json')) ? folder : onlyPackageBeside(folder), 'package.json'), 'utf8')) as { name: string; version: string };
    return `${name}@${version}`;
  }))].toSorted();
}

/** @js-sdsl's own source maps name folders of its maker's machine: they belong to the one package of that scope. */
function onlyPackageBeside(folder: string): string {
  const scope = dirname(folder);
  const [name, ...more] = readdirSync(scope).filter((one) => !one.startsWith('.'));
  if (name === undefined || more.length > 0) throw new Error(`${folder} is no package, and ${scope} has several: whose is it?`);
  return join(scope, name);
}

for (const app of apps)
  test(`the bill of ${app}'s bundle lists exactly what is in it`, () => {
    const dist = join(repository, 'apps', app, 'dist');
    const bill = JSON.parse(readFileSync(join(dist, 'sbom.cdx.json'), 'utf8')) as Sbom;
    const listed = bill.components.map(({ group, name, version }) => `${group === undefined ? '' : `${group}/`}${name}@${version}`).toSorted();
    assert.deepEqual(listed, packagesInside(dist));
    for (const { purl, licenses, hashes = [] } of bill.components) assert.ok(licenses.length > 0 && hashes.some(({ alg, content }) => alg === 'SHA-512' && /^[0-9a-f]{128}$/.test(content)), purl);
    assert.equal(new Set(bill.components.map(({ purl }) => purl)).size, bill.components.length);
  });

test('what the lock does not pin, or pins otherwise, is in no bundle', () => {
  const folder = mkdtempSync(join(tmpdir(), 'meltemi-sbom-'));
  try {
    const install = (name: string, version: string) => {
      mkdirSync(join(folder, 'node_modules', name), { recursive: true });
      writeFileSync(join(folder, 'node_modules', name, 'package.json'), JSON.stringify({ name, version }));
    };
    const program = { name: 'p', version: '1.0.0', license: 'MIT' };
    install('@a/b', '1.0.0');
    writeFileSync(join(folder, 'package-lock.json'), JSON.stringify({ packages: { 'node_modules/@a/b': { version: '1.0.0', license: '(MIT OR ISC)', integrity: `sha512-${Buffer.alloc(64, 1).toString('base64')}` } } }));
    const [component] = sbomOf(program, [join(folder, 'node_modules/@a/b/x/y.js'), join(folder, 'src/own.ts')], folder).components;
    assert.deepEqual(component, { 'type': 'library', 'bom-ref': 'pkg:npm/%40a/b@1.0.0', 'group': '@a', 'name': 'b', 'version': '1.0.0', 'licenses': [{ expression: 'MIT OR ISC' }], 'purl': 'pkg:npm/%40a/b@1.0.0', 'hashes': [{ alg: 'SHA-512', content: '01'.repeat(64) }] });
    install('stranger', '1.0.0');
    assert.throws(() => sbomOf(program, [join(folder, 'node_modules/stranger/x.js')], folder), /stranger is in the bundle of p, but package-lock\.json does not pin it/);
    install('@a/b', '1.0.1');
    assert.throws(() => sbomOf(program, [join(folder, 'node_modules/@a/b/x.js')], folder), /installed as 1\.0\.1, but package-lock\.json pins 1\.0\.0/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { formatFieldErrors } from '@meltemi/base';
import { jsonToBinary } from '@meltemi/api';
import { FilterEvents } from '@meltemi/proxy';
import { proxyExtensions } from '../worker/extensions.ts';
import type { ModuleSource } from './module-host.ts';
import { loadFrom, ModuleLoader, namesModule, withModules } from './module-loader.ts';

let root: string;
let allowed: string;
let loader: ModuleLoader;

const filterText = (name: string) => `export default { name: '${name}', bind: () => ({ events: 0, create: () => null }) };`;

before(() => {
  root = mkdtempSync(join(tmpdir(), 'modules-'));
  allowed = join(root, 'allowed');
  const dirs = ['allowed', 'allowed/node_modules/esm-only', 'node_modules/outside-package'].map((dir) => join(root, dir));
  for (const dir of dirs) mkdirSync(dir, { recursive: true });
  writeFileSync(join(root, 'outside.js'), filterText('outside'));
  writeFileSync(join(allowed, 'good.ts'), `import { FilterEvents } from '@meltemi/proxy/filter';\nimport { helper } from './helper.ts';\n${filterText('good')}\nexport const events: number = FilterEvents.complete + helper;`);
  writeFileSync(join(allowed, 'helper.ts'), 'export const helper: number = 1000;');
  symlinkSync(join(root, 'outside.js'), join(allowed, 'link.js'));
  for (const [dir, name] of [[dirs[1] ?? '', 'esm-only'], [dirs[2] ?? '', 'outside-package']] as const) {
    writeFileSync(join(dir, 'package.json'), JSON.stringify({ name, type: 'module', exports: { import: './index.js' } }));
    writeFileSync(join(dir, 'index.js'), filterText(name));
  }
  const made = ModuleLoader.of([allowed]);
  assert.ok(made.ok);
  loader = made.value;
});
after(() => rmSync(root, { recursive: true, force: true }));

function load(module: string, exportName = 'default', used = new Map<string, ModuleSource>()): unknown {
  const loaded = loader.load({ module, exportName }, used);
  return loaded.ok ? loaded.value : formatFieldErrors(loaded.error);
}

test('a module is found by relative path, absolute path and package name', () => {
  for (const [module, name] of [['./good.ts', 'good'], [join(allowed, 'good.ts'), 'good'], ['esm-only', 'esm-only']] as const)
    assert.equal((load(module) as { name: string }).name, name, module);
});

test('it imports its neighbours, and this program\'s own objects as @meltemi/proxy/filter', () => {
  assert.equal(load('./good.ts', 'events'), FilterEvents.complete + 1000);
});

test('nothing outside the allowed folders is loaded, whatever leads there', () => {
  for (const module of [join(root, 'outside.js'), './../outside.js', './link.js', 'outside-package']) assert.match(String(load(module)), /lies at .*outside the folders that --allow-filters-from names/, module);
});

test('what cannot be loaded says why', () => {
  for (const [file, source, reason] of [
    ['missing.ts', null, /no folder that --allow-filters-from names has it/], ['text.json', '{}', /is an ES module: \.ts/], ['broken.js', 'export default {', /does not load: SyntaxError/],
    ['enum.ts', 'enum A { b } export default A;', /enum is not supported/], ['await.js', 'await 1; export default {};', /awaits at its top level/], ['throws.ts', "throw new TypeError('no luck');", /TypeError: no luck/],
    ['import.ts', "import 'no-such-package-here';", /no-such-package-here/],
  ] as const) {
    if (source !== null) writeFileSync(join(allowed, file), source);
    assert.match(String(load(`./${file}`)), reason, file);
  }
});

test('a changed file is a new module, and one that was read stays what it was', () => {
  const path = join(allowed, 'changing.js');
  const used = new Map<string, ModuleSource>();
  writeFileSync(path, filterText('one'));
  assert.equal((load('./changing.js', 'default', used) as { name: string }).name, 'one');
  writeFileSync(path, filterText('two'));
  assert.equal((load('./changing.js') as { name: string }).name, 'two');
  const later = loadFrom([...used.values()])({ module: './changing.js', exportName: 'default' });
  assert.ok(later.ok);
  assert.equal((later.value as { name: string }).name, 'one');
});

const typeUrl = 'type.googleapis.com/meltemi.filters.http.module.v1.Module';

function parse(json: object, method: 'parse' | 'parseRoute' = 'parse'): string {
  const extensions = withModules(proxyExtensions(), (ref) => loader.load(ref, new Map()));
  const warned: string[] = [];
  const result = extensions.httpFilters.get(typeUrl)?.[method]?.(jsonToBinary('meltemi.filters.http.module.v1.Module', json), { path: 'p', typeUrl, warn: (path, message) => warned.push(`${path}: ${message}`), extensions });
  assert.ok(result);
  return result.ok ? ['ok', ...warned].join('; ') : formatFieldErrors(result.error);
}

test('its own parser decides, and is not trusted to keep its contract', () => {
  writeFileSync(join(allowed, 'parsers.js'), `
    const bind = () => ({ events: 0, create: () => null });
    export const refuses = { name: 'a', bind, parse: () => ({ ok: false, error: [{ path: 'keys[0]', message: 'is empty' }] }) };
    export const throws = { name: 'a', bind, parse() { throw new Error('boom'); } };
    export const wrong = { name: 'a', bind, parse: () => 7 };
    export const warns = { name: 'a', bind, parse(settings, ctx) { ctx.warn('old', 'is not used'); return { ok: true, value: settings }; } };
    export const nameless = { bind };
    export const unbound = { name: 'a' };
  `);
  for (const [exportName, said] of [
    ['refuses', 'p.config.keys[0]: is empty'], ['throws', 'p.config: its parser threw: boom'], ['wrong', 'p.config: its parser must return ok(value) or fail(path, message)'],
    ['warns', 'ok; p.config.old: is not used'], ['nameless', /has no name/], ['unbound', /has no bind/], ['absent', /export "absent" of .\/parsers.js does not exist/],
  ] as const) {
    const text = parse({ module: './parsers.js', exportName });
    if (typeof said === 'string') assert.equal(text, said);
    else assert.match(text, said);
  }
  assert.match(parse({ module: './good.ts' }, 'parseRoute'), /takes no settings per route/);
  assert.match(parse({}), /p\.module: is required/);
});

test('without allowed folders every module is refused', () => {
  const extensions = proxyExtensions();
  const result = extensions.httpFilters.get(typeUrl)?.parse(jsonToBinary('meltemi.filters.http.module.v1.Module', { module: './good.ts' }), { path: 'p', typeUrl, warn: () => {}, extensions });
  assert.match(result?.ok === false ? formatFieldErrors(result.error) : '', /--allow-filters-from/);
  assert.equal(namesModule(Buffer.from('nothing of the kind')), false);
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { repository } from '@meltemi/harness';
import { breaches } from '../lint/rules.ts';
import { readWorkspace } from '../lint/workspace.ts';
import { insertBefore, insertImport } from './insert.ts';
import { names } from './names.ts';
import { WorkspaceCopy } from './workspace-copy.ts';

const copy = new WorkspaceCopy(repository);
after(() => copy.remove());

/** The fenced blocks of a language in the guide to filters. */
function guideBlocks(language: string): string[] {
  const guide = readFileSync(join(repository, 'apps/docs/guides/add-a-filter.md'), 'utf8');
  return [...guide.matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, 'g'))].map((found) => found[1] ?? '');
}

/** What a change must pass, for one package and its generated test. */
function passes(folder: string, testFile: string, generated: readonly string[] = [dirname(testFile)]): void {
  copy.run(folder, ['tsc', '--noEmit', '-p', 'tsconfig.json']);
  copy.run(folder, ['oxlint', '-c', '../../.oxlintrc.json', '--type-aware', ...generated]);
  assert.match(copy.run(folder, ['node', '--test', testFile]), /fail 0/);
}

test('a generated command compiles, lints, passes its test and is in the program', () => {
  copy.run('.', ['node', 'tools/nx/new.ts', 'command', 'mesh-age']);
  passes('apps/cli', 'src/commands/mesh-age/mesh-age.test.ts');
  assert.match(copy.run('.', ['node', 'apps/cli/src/main.ts', '--help']), /mesh-age/);
});

test('a generated config kind compiles, lints, passes its test and is known to meltemi validate', () => {
  copy.run('.', ['node', 'tools/nx/new.ts', 'config-kind', 'RateLimit', '--group', 'example.dev']);
  passes('libs/config', 'src/kinds/rate-limit/rate-limit.test.ts');
});

test('a generated HTTP filter compiles, lints and passes its tests on both planes, and changes no translation by itself', () => {
  copy.run('.', ['node', 'tools/nx/new.ts', 'http-filter', 'maintenance']);
  passes('libs/proxy', 'src/filters/http/maintenance/maintenance.test.ts');
  passes('libs/proxy', 'src/filters/http-filters.contract.test.ts');
  passes('libs/pilot', 'src/translate/features/maintenance.test.ts');
  assert.match(copy.run('libs/pilot', ['node', '--test', 'src/testing/golden.test.ts']), /fail 0/);
});

test('the filter of the guide, put over the generated one, compiles, lints and passes its tests', () => {
  const [filter, filterTest] = guideBlocks('ts');
  const [row] = guideBlocks('js');
  const folder = 'libs/proxy/src/filters/http/maintenance';
  copy.write('proto/meltemi/filters/http/maintenance/v1/maintenance.proto', guideBlocks('proto')[0]);
  copy.write(`${folder}/maintenance.ts`, filter);
  copy.write(`${folder}/maintenance.test.ts`, filterTest);
  const contract = 'libs/proxy/src/filters/http-filters.contract.test.ts';
  copy.write(contract, readFileSync(join(copy.root, contract), 'utf8').replace(/^ *'meltemi\.filters\.http\.maintenance': .*$/m, () => `  ${row?.trim()}`));
  copy.run('.', ['node', 'tools/generate/protos.ts']);
  passes('libs/proxy', 'src/filters/http/maintenance/maintenance.test.ts');
  assert.match(copy.run('libs/proxy', ['node', '--test', 'src/filters/http-filters.contract.test.ts']), /fail 0/);
});

test('what was generated keeps to the planes', () => {
  const found = breaches(readWorkspace(copy.root), (file) => readFileSync(join(copy.root, file), 'utf8'));
  assert.deepEqual(found.filter((breach) => /maintenance|mesh-age/.test(breach)), []);
});

test('Nx runs the same generators by name', () => {
  copy.run('.', ['nx', 'g', 'meltemi-tools:command', 'mesh-name', '--no-interactive']);
  assert.match(copy.run('.', ['node', 'apps/cli/src/main.ts', '--help']), /mesh-name/);
});

test('a name that is taken, or none, changes nothing', () => {
  assert.throws(() => copy.run('.', ['node', 'tools/nx/new.ts', 'command', 'apply']), /exists already/);
  assert.throws(() => names('Rate_Limit'), /write it like rate-limit/);
  assert.deepEqual(names('RateLimit'), names('rate-limit'));
});

test('an import goes where its specifier sorts, and an anchor that is not there once is an error', () => {
  const text = "import { a } from './x/a.ts';\nimport { c } from './x/c.ts';\nrest();";
  assert.equal(insertImport(text, "import { b } from './x/b.ts';", './x/').split('\n')[1], "import { b } from './x/b.ts';");
  assert.throws(() => insertBefore(text, 'import', 'x'), /2 times/);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { audit, type LockEntry, type Manifest } from './audit-rules.ts';

const good: LockEntry = { version: '1.2.3', integrity: `sha512-${'A'.repeat(86)}==`, license: 'MIT' };
const problemsOf = (packages: Record<string, LockEntry>, manifests: Record<string, Manifest> = {}) => audit({ lock: { packages }, manifests });

test('pinned, hashed, licensed packages are fine; so are those of other platforms that nobody installs here', () => {
  assert.deepEqual(problemsOf({
    '': {}, 'libs/a': { version: '0.1.0' }, 'node_modules/@meltemi/a': { link: true }, 'node_modules/a': good, 'node_modules/b': { ...good, license: '(GPL-2.0 OR BSD-3-Clause)' },
    'node_modules/@x/darwin': { version: '1.0.0', optional: true, os: ['darwin'], cpu: ['arm64'], license: 'MIT' }, 'node_modules/esbuild': { ...good, hasInstallScript: true },
  }, { 'package.json': { dependencies: { a: '1.2.3', c: 'npm:@c/d@1.0.0-rc.1' }, scripts: { test: 'x' } } }), []);
});

const rows: readonly [what: string, entry: LockEntry, reason: RegExp][] = [
  ['no hash', { version: '1.2.3', license: 'MIT' }, /no sha512/],
  ['an old hash', { ...good, integrity: 'sha1-abc' }, /no sha512/],
  ['this platform\'s build without a hash', { version: '1.0.0', license: 'MIT', optional: true, os: ['linux'], cpu: ['x64'] }, /no sha512/],
  ['a git source', { ...good, resolved: 'git+ssh://git@host/a.git#1234' }, /comes from git/],
  ['a plain http source', { ...good, resolved: 'http://host/a.tgz' }, /comes from http:/],
  ['a range for a version', { ...good, version: '^1.2.3' }, /no version/],
  ['a script at installation', { ...good, hasInstallScript: true }, /runs a script/],
  ['a licence that is not listed', { ...good, license: 'AGPL-3.0' }, /licence "AGPL-3.0"/],
  ['one of two licences that both hold', { ...good, license: '(MIT AND SSPL-1.0)' }, /licence/],
  ['no licence', { ...good, license: '' }, /licence ""/],
  ['a deprecated package', { ...good, deprecated: 'use b' }, /deprecated: use b/],
];
for (const [what, entry, reason] of rows)
  test(`${what} is named`, () => {
    const problems = problemsOf({ 'node_modules/a': entry });
    assert.equal(problems.length, 1);
    assert.match(problems[0] ?? '', reason);
  });

test('two major versions of what parses strangers\' bytes are named, of other packages not', () => {
  const two = (name: string) => problemsOf({ [`node_modules/${name}`]: good, [`node_modules/x/node_modules/${name}`]: { ...good, version: '2.0.0' } });
  assert.match(two('undici')[0] ?? '', /undici is there in 2 major versions/);
  assert.deepEqual(two('yargs'), []);
});

test('ranges, other sources and scripts of our own that npm runs by itself are named', () => {
  const problems = problemsOf({}, { 'libs/a/package.json': { dependencies: { a: '^1.0.0', b: 'github:x/y', c: 'latest' }, scripts: { postinstall: 'x' } } });
  assert.deepEqual(problems.map((problem) => /"(\^1\.0\.0|github:x\/y|latest|postinstall)"/.exec(problem)?.[1]), ['^1.0.0', 'github:x/y', 'latest', 'postinstall']);
});

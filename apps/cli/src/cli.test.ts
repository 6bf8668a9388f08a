import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { runMeltemi } from './testing/run-meltemi.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-cli-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const meltemi = (args: readonly string[], stdin?: string) => runMeltemi(dir, args, stdin);
const root = join(import.meta.dirname, '..', '..', '..');

const good = 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: reviews, namespace: bookinfo}\nspec: {hosts: [reviews], http: [{route: [{destination: {host: reviews}}]}]}\n';
const bad = 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: broken}\nspec:\n  hosts: [reviews]\n  htttp: []\n';
writeFileSync(join(dir, 'good.yaml'), `# first\n${good}---\n\n---\n${good.replace('name: reviews', 'name: again')}`);
writeFileSync(join(dir, 'bad.yaml'), bad);
mkdirSync(join(dir, 'nothing'));
mkdirSync(join(dir, 'sub/deep'), { recursive: true });
writeFileSync(join(dir, 'sub/deep/a.yml'), good);
writeFileSync(join(dir, 'sub/b.json'), JSON.stringify(parse(good)));
writeFileSync(join(dir, 'sub/readme.txt'), 'not: config');

test('validate prints exactly one entry per document, in order, and exits 1 when any is invalid', async () => {
  const ran = await meltemi(['validate', '-f', 'good.yaml', 'bad.yaml', '-o', 'json']);
  assert.equal(ran.code, 1);
  assert.equal(ran.err, '');
  const entries = JSON.parse(ran.out) as Record<string, unknown>[];
  assert.deepEqual(entries.map((entry) => Object.keys(entry)), entries.map(() => ['file', 'document', 'kind', 'name', 'namespace', 'valid', 'errors', 'warnings']));
  assert.deepEqual(entries.map(({ file, document, kind, name, namespace, valid }) => [file, document, kind, name, namespace, valid]), [
    ['good.yaml', 0, 'VirtualService', 'reviews', 'bookinfo', true],
    ['good.yaml', 2, 'VirtualService', 'again', 'bookinfo', true],
    ['bad.yaml', 0, 'VirtualService', 'broken', 'default', false],
  ]);
  const [error] = (entries[2]?.['errors'] ?? []) as { path: string; message: string }[];
  assert.equal(error?.path, 'spec.htttp');
  assert.match(error?.message ?? '', /unknown field "htttp"/);
});

test('validate exits 0 when all is valid; foreign kinds and kinds of later warn, unknown Istio kinds fail', async () => {
  const of = (apiVersion: string, kind: string) => `apiVersion: ${apiVersion}\nkind: ${kind}\nmetadata: {name: x}\nspec: {}\n`;
  const valid = await meltemi(['validate', '-f', '-', '-o', 'json'], `${of('example.com/v1', 'Widget')}---\n${of('extensions.istio.io/v1alpha1', 'WasmPlugin').replace('{}', '{url: "oci://a/b"}')}`);
  assert.equal(valid.code, 0, valid.out);
  const entries = JSON.parse(valid.out) as { file: string; valid: boolean; warnings: unknown[] }[];
  assert.deepEqual(entries.map((entry) => [entry.file, entry.valid, entry.warnings.length > 0]), [['-', true, true], ['-', true, true]]);
  assert.equal((await meltemi(['validate', '-f', '-'], of('networking.istio.io/v1', 'VirtualServise'))).code, 1);
});

test('validate takes several -f, directories, and nothing at all', async () => {
  const several = await meltemi(['validate', '-f', 'sub', '-f', 'good.yaml', '-o', 'yaml']);
  assert.equal(several.code, 0, several.err);
  assert.deepEqual((parse(several.out) as { file: string }[]).map((entry) => entry.file), ['sub/b.json', 'sub/deep/a.yml', 'good.yaml', 'good.yaml']);
  const none = await meltemi(['validate', '-f', '-', '-o', 'json'], '# only a comment\n---\n');
  assert.deepEqual([none.code, none.out], [0, '[]\n']);
  const table = await meltemi(['validate', '-f', 'bad.yaml']);
  assert.match(table.out, /^error: bad\.yaml#0: VirtualService default\/broken: spec\.htttp: .*\n1 of 1 documents? (is|are) invalid\.\n$/);
});

test('errors say what to do, and exit 64 for a wrong command line, 1 for the rest', async () => {
  const cases: [args: string[], code: number, says: RegExp][] = [
    [['nonsense'], 64, /unknown command 'nonsense'/],
    [['aply'], 64, /Did you mean apply\?/],
    [['validate'], 64, /required option '-f, --filename/],
    [['get', '-o', 'xml'], 64, /-o xml: use table, json, yaml/],
    [['get', 'virtualservise'], 64, /There is no kind "virtualservise"\. Kinds are: VirtualService/],
    [['apply', '-f', 'good.yaml', '--wait=soon'], 64, /--wait soon: write a duration like 30s/],
    [['delete'], 64, /Say what to delete/],
    [['proxy-config', 'route'], 64, /Name a proxy/],
    [['validate', '-f', 'gone.yaml'], 1, /gone\.yaml: there is no such file or directory/],
    [['validate', '-f', 'nothing'], 1, /nothing: no \.yaml, \.yml or \.json file/],
    [['get'], 1, /No running mesh found[^]*npm start/],
    [['apply', '-f', 'good.yaml'], 1, /No running mesh found/],
    [['--context', 'none.json', 'get'], 1, /There is no context file none\.json/],
  ];
  const results = await Promise.all(cases.map(([args]) => meltemi(args)));
  for (const [index, [args, code, says]] of cases.entries()) {
    const ran = results[index];
    assert.equal(ran?.code, code, `${args.join(' ')}: ${ran?.err}`);
    assert.match(ran?.err ?? '', says);
    assert.equal(ran?.out, '');
  }
});

test('help and versions go to standard output', async () => {
  const [bare, help, flag, version] = await Promise.all([meltemi([]), meltemi(['apply', '--help']), meltemi(['--version']), meltemi(['version', '-o', 'json'])]);
  assert.match(bare.out, /Usage: meltemi/);
  assert.match(help.out, /--wait \[timeout\]/);
  const { version: ours } = JSON.parse(readFileSync(join(import.meta.dirname, '..', 'package.json'), 'utf8')) as { version: string };
  assert.equal(flag.out, `${ours}\n`);
  assert.deepEqual(JSON.parse(version.out), { clientVersion: ours });
  assert.deepEqual([bare.code, help.code, flag.code, version.code], [0, 0, 0, 0]);
});

test('a reader that stops early ends the command quietly', () => {
  const many = join(dir, 'many.yaml');
  writeFileSync(many, Array.from({ length: 400 }, (_, n) => good.replace('name: reviews', `name: r${n}`)).join('---\n'));
  const script = `"$0" "$1" validate -f "$2" -o json | head -1; echo "\${PIPESTATUS[0]}"`;
  const out = execFileSync('bash', ['-c', script, process.execPath, join(import.meta.dirname, 'main.ts'), many], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  assert.equal(out, '[\n0\n');
});

test('bash completes commands, sub-commands, flags, kinds and shells', async () => {
  const script = join(dir, 'completion.sh');
  const printed = await meltemi(['completion', 'bash']);
  writeFileSync(script, printed.out);
  const complete = (...words: string[]) => execFileSync('bash', ['-c', `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _meltemi; printf '%s\\n' "\${COMPREPLY[@]}"`, script, 'meltemi', ...words], { encoding: 'utf8', cwd: dir }).trim().split('\n');
  assert.deepEqual(complete('app'), ['apply']);
  assert.ok(complete('proxy-config', '').includes('listener'));
  assert.deepEqual(complete('apply', '--wa'), ['--wait']);
  assert.deepEqual(complete('get', 'virtuals'), ['virtualservice']);
  assert.deepEqual(complete('--context', 'x.json', 'ge'), ['get']);
  assert.deepEqual(complete('completion', 'f'), ['fish']);
  assert.deepEqual(complete('apply', '-f', 'goo'), ['good.yaml']);
  execFileSync('bash', ['-n', script]);
});

test('runs by npx from the root of the project on whatever Node the machine has, with nothing built', () => {
  const path = (process.env['PATH'] ?? '').split(':').filter((part) => !part.includes('node_modules/.bin')).join(':');
  const out = execFileSync('npx', ['meltemi', '--version'], { cwd: root, encoding: 'utf8', env: { PATH: path, HOME: dir }, stdio: ['ignore', 'pipe', 'ignore'] });
  assert.match(out, /^\d+\.\d+\.\d+\n$/);
});

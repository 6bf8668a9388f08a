import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { parse } from 'yaml';
import { main } from '../../program.ts';
import { runMeltemi, type Ran } from '../../testing/run-meltemi.ts';

const dir = mkdtempSync(join(tmpdir(), 'meltemi-analyze-'));
after(() => rmSync(dir, { recursive: true, force: true }));

/** Runs the command in this process, which is faster by far than a program for each; `dir` is the working directory. */
async function meltemi(args: readonly string[]): Promise<Ran> {
  const lines: { readonly out: string[]; readonly err: string[] } = { out: [], err: [] };
  process.exitCode = 0;
  const code = await main(['analyze', ...args], { out: (text) => void lines.out.push(`${text}\n`), err: (text) => void lines.err.push(`${text}\n`) });
  process.exitCode = 0;
  return { code, out: lines.out.join(''), err: lines.err.join('') };
}

const broken = 'apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata:\n  name: reviews\nspec:\n  hosts: [reviews.example.com]\n  gateways:\n  - none\n  http:\n  - redirect: {uri: /}\n';
const namespace = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n';
const good = 'apiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: shop}\nspec: {ports: [{name: http, port: 80}], selector: {app: a}}\n';
writeFileSync(join(dir, 'broken.yaml'), broken);
writeFileSync(join(dir, 'good.yaml'), good);
mkdirSync(join(dir, 'all/deep'), { recursive: true });
writeFileSync(join(dir, 'all/namespace.yml'), namespace);
writeFileSync(join(dir, 'all/deep/broken.yaml'), broken);
writeFileSync(join(dir, 'mesh.yaml'), 'rootNamespace: shop\n');
process.chdir(dir);
process.env['HOME'] = dir;

interface Entry {
  readonly code: string;
  readonly level: string;
  readonly origin: string;
  readonly message: string;
  readonly file: string;
  readonly line: number;
}

test('JSON is a list of code, level, origin, message, file and line; an error exits 79', async () => {
  const ran = await meltemi(['broken.yaml', '-o', 'json']);
  assert.equal(ran.code, 79, ran.err);
  assert.equal(ran.err, '');
  const entries = JSON.parse(ran.out) as Entry[];
  assert.deepEqual(entries.map((entry) => Object.keys(entry)), entries.map(() => ['code', 'level', 'origin', 'message', 'file', 'line']));
  assert.deepEqual(entries.map(({ code, level, origin, file, line }) => [code, level, origin, file, line]), [
    ['IST0101', 'Error', 'VirtualService reviews.default', 'broken.yaml', 8],
    ['IST0132', 'Warning', 'VirtualService reviews.default', 'broken.yaml', 8],
  ]);
  assert.match(entries[0]?.message ?? '', /gateway.*"none"/);
});

test('YAML holds the same, and nothing found is an empty list', async () => {
  const json = await meltemi(['broken.yaml', '-o', 'json']);
  const yaml = await meltemi(['broken.yaml', '-o', 'yaml']);
  const none = await meltemi(['good.yaml', '-o', 'json']);
  assert.deepEqual(parse(yaml.out), JSON.parse(json.out));
  assert.deepEqual([none.code, none.out], [0, '[]\n']);
});

test('the log is a line per message without colours, and says on standard error what was found', async () => {
  const ran = await meltemi(['broken.yaml']);
  assert.match(ran.out, /^Error \[IST0101\] \(VirtualService reviews\.default broken\.yaml:8\) .*\nWarning \[IST0132\]/);
  assert.match(ran.err, /1 Error, 1 Warning, 0 Info/);
  const clean = await meltemi(['good.yaml']);
  assert.deepEqual([clean.code, clean.out], [0, '']);
  assert.match(clean.err, /No issues found in good\.yaml/);
  assert.ok((await meltemi(['broken.yaml', '--color'])).out.includes('\u001b[31mError'));
});

test('files, directories and -f are the same, and directories are read to the bottom', async () => {
  const args = await meltemi(['all', '-o', 'json']);
  const flags = await meltemi(['-f', 'all', '-o', 'json', '-R']);
  const both = await meltemi(['-f', 'good.yaml', '-f', 'all', '-o', 'json']);
  const files = (JSON.parse(args.out) as Entry[]).map((entry) => entry.file);
  assert.deepEqual(files, ['all/deep/broken.yaml', 'all/deep/broken.yaml', 'all/namespace.yml']);
  assert.equal(flags.out, args.out);
  assert.equal(both.out, args.out);
});

test('standard input is a file called -', async () => {
  const ran = await runMeltemi(dir, ['analyze', '-', '-o', 'json'], broken);
  assert.equal(ran.code, 79, ran.err);
  assert.deepEqual((JSON.parse(ran.out) as Entry[]).map(({ code, file, line }) => [code, file, line]), [['IST0101', '-', 8], ['IST0132', '-', 8]]);
});

test('the exit code follows the failure threshold, the output the other one', async () => {
  const codes = async (file: string, ...flags: string[]): Promise<number | null> => (await meltemi([file, ...flags])).code;
  assert.equal(await codes('all/namespace.yml'), 0);
  assert.equal(await codes('all/namespace.yml', '--failure-threshold', 'Info'), 79);
  assert.equal(await codes('all/namespace.yml', '--failure-threshold', 'warning'), 0);
  const shown = await meltemi(['broken.yaml', '--output-threshold', 'Error', '-o', 'json']);
  assert.deepEqual((JSON.parse(shown.out) as Entry[]).map((entry) => entry.code), ['IST0101']);
  const hidden = await meltemi(['broken.yaml', '--suppress', 'IST0101=VirtualService reviews.default', '--output-threshold', 'Error', '--failure-threshold', 'Warning', '-o', 'json']);
  assert.deepEqual([hidden.code, hidden.out], [79, '[]\n']);
});

test('suppressed messages neither show nor fail', async () => {
  const ran = await meltemi(['broken.yaml', '-S', 'IST0101=VirtualService *.default', '--suppress', 'IST0132=*', '-o', 'json']);
  assert.deepEqual([ran.code, ran.out], [0, '[]\n']);
  assert.match((await meltemi(['good.yaml', '--suppress', 'IST9999=a'])).err, /no code IST9999/);
});

test('one namespace, settings of the mesh and single analyzers can be asked for', async () => {
  const policy = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: a, namespace: shop}\nspec: {}\n';
  writeFileSync(join(dir, 'policy.yaml'), policy);
  const codes = async (...flags: string[]): Promise<string[]> => (JSON.parse((await meltemi(['policy.yaml', ...flags, '-o', 'json'])).out) as Entry[]).map((entry) => entry.code);
  assert.deepEqual(await codes(), ['IST0127']);
  assert.deepEqual(await codes('--mesh-config', 'mesh.yaml'), []);
  assert.deepEqual(await codes('--meshConfigFile', 'mesh.yaml'), []);
  assert.deepEqual(await codes('-n', 'other'), []);
  assert.deepEqual(await codes('--analyzer', 'gateway.SecretAnalyzer'), []);
});

test('the analyzers can be listed', async () => {
  const ran = await meltemi(['-L']);
  assert.equal(ran.code, 0);
  assert.match(ran.out, /^\* annotations\.AlphaAnalyzer:\n {4}\w/);
  assert.match(ran.out, /\* virtualservice\.GatewayAnalyzer:/);
});

test('a wrong command line exits 64, a missing file 1, and without files a mesh is needed', async () => {
  const cases: [args: string[], code: number, says: RegExp][] = [
    [['good.yaml', '-o', 'xml'], 64, /-o xml: use log, json, yaml/],
    [['good.yaml', '--failure-threshold', 'bad'], 64, /use Info, Warning, Error/],
    [['good.yaml', '--suppress', 'IST0101'], 64, /write CODE=OBJECT/],
    [['good.yaml', '--analyzer', 'none'], 64, /no analyzer "none"/],
    [['good.yaml', '--nonsense'], 64, /unknown option/],
    [['gone.yaml'], 1, /no such file or directory/],
    [['good.yaml', '--mesh-config', 'gone.yaml'], 1, /no such file/],
    [[], 1, /No running mesh found/],
  ];
  for (const [args, code, says] of cases) {
    const ran = await meltemi(args);
    assert.equal(ran.code, code, args.join(' '));
    assert.match(ran.err, says);
  }
});

test('services of several clusters are compared', async () => {
  writeFileSync(join(dir, 'remote.yaml'), good.replace('port: 80', 'port: 81'));
  const ran = await meltemi(['good.yaml', '--remote-cluster', 'east=remote.yaml', '-o', 'json']);
  assert.deepEqual((JSON.parse(ran.out) as Entry[]).map(({ code, origin }) => [code, origin]), [['IST0170', 'Service a.shop']]);
});

const typo = '# kept\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a, namespace: shop} # and this\nspec:\n  hst: a\n';

test('--fix prints a patch that git takes, and changes nothing', async () => {
  writeFileSync(join(dir, 'typo.yaml'), typo);
  const ran = await meltemi(['--fix', 'typo.yaml', 'good.yaml']);
  assert.deepEqual([ran.code, ran.out], [0, '--- a/typo.yaml\n+++ b/typo.yaml\n@@ -3,4 +3,4 @@\n kind: DestinationRule\n metadata: {name: a, namespace: shop} # and this\n spec:\n-  hst: a\n+  host: a\n']);
  assert.match(ran.err, /The patch mends IST0106 \(DestinationRule a\.shop\)/);
  assert.equal(readFileSync(join(dir, 'typo.yaml'), 'utf8'), typo);
  execFileSync('git', ['apply', '--check', '-'], { cwd: dir, input: ran.out });
});

test('--fix --write and --fix=apply change the files, once', async () => {
  for (const flags of [['--fix', '--write'], ['--fix=apply']]) {
    writeFileSync(join(dir, 'typo.yaml'), typo);
    assert.equal((await meltemi([...flags, 'typo.yaml', 'good.yaml'])).code, 0);
    assert.equal(readFileSync(join(dir, 'typo.yaml'), 'utf8'), typo.replace('hst', 'host'));
    const again = await meltemi([...flags, 'typo.yaml', 'good.yaml']);
    assert.equal(again.out, '');
    assert.match(again.err, /Nothing here has one obvious remedy/);
  }
});

test('--fix exits by what it leaves, and needs files', async () => {
  assert.equal((await meltemi(['--fix', 'broken.yaml'])).code, 79);
  assert.equal((await meltemi(['--fix'])).code, 64);
  assert.equal((await meltemi(['--fix', '--write', '-'])).code, 64);
});

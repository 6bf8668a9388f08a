import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { repository } from '@meltemi/harness';

const folder = join(repository, 'deploy/containers');
const apps = ['bookinfo', 'citadel', 'cli', 'echo', 'pilot', 'proxy', 'telemetry'];
/** Programs that serve nothing have no port and no health. */
const serves = (app: string) => app !== 'cli';

test('every app has a container file', () => {
  assert.deepEqual(readdirSync(folder).filter((file) => file.endsWith('.Dockerfile')).map((file) => file.replace('.Dockerfile', '')), apps);
});

for (const app of apps) {
  const lines = readFileSync(join(folder, `${app}.Dockerfile`), 'utf8').replaceAll('\\\n', '').split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const instructions = (name: string) => lines.filter((line) => line.startsWith(`${name} `)).map((line) => line.slice(name.length + 1).trim());

  test(`${app}'s container starts from the pinned Node, as a user that is not root, with its ports and health`, () => {
    assert.deepEqual(instructions('FROM'), [`node:${readFileSync(join(repository, '.node-version'), 'utf8').trim()}-slim`]);
    assert.deepEqual(instructions('USER'), [app === 'proxy' ? '1337:1337' : '1000:1000']);
    assert.equal(instructions('EXPOSE').length, serves(app) ? 1 : 0);
    assert.equal(instructions('HEALTHCHECK').length, 1);
    const json = [...instructions('ENTRYPOINT'), ...instructions('CMD'), ...instructions('HEALTHCHECK').flatMap((text) => text.split('CMD ').slice(1))];
    for (const text of json) assert.ok((JSON.parse(text) as unknown[]).length > 0);
  });

  test(`${app}'s bundle, copied as its container file says, runs with nothing but Node`, (context) => {
    const dir = mkdtempSync(join(tmpdir(), 'meltemi-container-'));
    context.after(() => rmSync(dir, { recursive: true, force: true }));
    copyAsDocker(instructions('COPY'), dir);
    const { status, stdout, stderr } = spawnSync(process.execPath, [join(dir, 'main.js'), '--help'], { cwd: dir, encoding: 'utf8', timeout: 30_000, env: { PATH: dirname(process.execPath) } });
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    assert.match(stdout, /usage/i);
    for (const [, name = ''] of instructions('ENV').join(' ').matchAll(/\b(MELTEMI_\w+)=/g)) assert.match(stdout.replaceAll(/\s+/g, ' '), new RegExp(`env ${name}\\b`), `${name} is a setting of ${app}`);
  });
}

/** COPY of one or more paths of the repository into the working folder: a folder's contents, a file by its name. */
function copyAsDocker(copies: readonly string[], dir: string): void {
  for (const copy of copies) {
    const sources = copy.split(/\s+/).slice(0, -1);
    for (const source of sources) {
      const from = join(repository, source);
      assert.ok(existsSync(from), `${source} is missing: npm run build`);
      cpSync(from, statSync(from).isDirectory() ? dir : join(dir, basename(from)), { recursive: true });
    }
  }
}

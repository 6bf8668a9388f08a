import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { programCommand, repository } from '../programs.ts';

const guides = join(repository, 'apps/docs/guides');
const dir = mkdtempSync(join(tmpdir(), 'meltemi-docs-'));
const children: ChildProcess[] = [];
after(async () => {
  for (const child of children) if (child.pid) try { process.kill(-child.pid, 'SIGTERM'); } catch { /* it has ended */ }
  await Promise.all(children.map((child) => (child.exitCode === null && child.signalCode === null ? new Promise((resolve) => child.once('exit', resolve)) : Promise.resolve())));
  rmSync(dir, { recursive: true, force: true });
});

/** The first fenced block of a language in a guide. */
function block(guide: string, language: string): string {
  const found = new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``).exec(readFileSync(join(guides, guide), 'utf8'))?.[1];
  assert.ok(found, `${guide} has a block of ${language}`);
  return found;
}

test('the bootstrap in "The proxy alone" is one that the proxy takes', () => {
  writeFileSync(join(dir, 'bootstrap.yaml'), block('proxy-alone.md', 'yaml'));
  const [command, ...args] = programCommand('proxy', 'bundle');
  const run = spawnSync(command, [...args, '-c', join(dir, 'bootstrap.yaml'), '--mode', 'validate'], { encoding: 'utf8' });
  assert.match(run.stdout, /OK/, run.stderr);
});

test('the commands of "A mesh by hand" make a mesh', async () => {
  const script = block('mesh-by-hand.md', 'sh').replace('M=/path/to/meltemi/node_modules/.bin', `M=${join(repository, 'node_modules/.bin')}`);
  const [setUp = '', finale = ''] = script.split('\ncurl ');
  assert.match(finale, /^-x http:\/\/127\.95\.1\.2:15002 http:\/\/echo\/hello\n\$M\/meltemi proxy-status/);
  // A person is slower than a shell: each program is up before the next command needs it.
  const paced = setUp.replaceAll(/^\$M\/meltemi token create/gm, 'until [ -S citadel/citadel.sock ]; do sleep 0.05; done\n$M/meltemi token create');
  const [echo, ...echoArgs] = programCommand('echo', 'bundle');
  children.push(spawn(echo, [...echoArgs, '--host', '127.95.2.1', '--http', '8080'], { stdio: 'ignore', detached: true }));
  const shell = spawn('bash', ['-e', '-c', `${paced}\nwait`], { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'], detached: true, env: { ...process.env, FORCE_COLOR: '0' } });
  children.push(shell);
  let said = '';
  shell.stderr?.on('data', (part: Buffer) => { said = (said + part.toString()).slice(-4000); });
  const answer = await waitFor('the client to reach echo through both sidecars', () => {
    if (shell.exitCode !== null) throw new Error(`the commands ended with ${shell.exitCode}:\n${said}`);
    const run = spawnSync('curl', ['-s', '--max-time', '2', '-x', 'http://127.95.1.2:15002', 'http://echo/hello'], { encoding: 'utf8' });
    return run.stdout.startsWith('{') ? (JSON.parse(run.stdout) as { headers: Record<string, string> }) : undefined;
  }, { deadlineMs: 60_000, everyMs: 200 }).catch((cause: unknown) => { throw new Error(`${String(cause)}\n${said}`); });
  assert.match(answer.headers['x-forwarded-client-cert'] ?? '', /URI=spiffe:\/\/cluster\.local\/ns\/default\/sa\/client/);
});

test('the commands of "Transparent interception" capture what curl asks for', async () => {
  assert.equal(process.getuid?.(), 0, 'this test makes network namespaces: run it as root');
  const folder = mkdtempSync(join(dir, 'interception-'));
  writeFileSync(join(folder, 'bootstrap.yaml'), block('interception.md', 'yaml'));
  const script = block('interception.md', 'sh').replace('M=/path/to/meltemi/node_modules/.bin', `M=${join(repository, 'node_modules/.bin')}`);
  const [setUp = '', finale = ''] = script.split('\nip netns exec mlt-here curl ');
  assert.equal(finale.trim(), '-si http://192.0.2.2:8080/');
  const shell = spawn('bash', ['-e', '-c', `${setUp}\nwait`], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  children.push(shell);
  let said = '';
  for (const stream of [shell.stdout, shell.stderr]) stream.on('data', (part: Buffer) => { said = (said + part.toString()).slice(-4000); });
  try {
    await waitFor('curl to be answered by the proxy', () => {
      if (shell.exitCode !== null) throw new Error(`the commands ended with ${shell.exitCode}:\n${said}`);
      const run = spawnSync('ip', ['netns', 'exec', 'mlt-here', 'curl', '-si', '--max-time', '2', 'http://192.0.2.2:8080/'], { encoding: 'utf8' });
      return /^HTTP\/1\.1 200[^]*x-envoy-upstream-service-time/.test(run.stdout);
    }, { deadlineMs: 60_000, everyMs: 200 });
    assert.match(said, /every other outbound connection/);
  } finally {
    for (const name of ['mlt-here', 'mlt-there']) spawnSync('ip', ['netns', 'del', name]);
  }
});

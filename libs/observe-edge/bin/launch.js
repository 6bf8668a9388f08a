// Plain JavaScript for Node 18 and newer: what runs before we know which Node this is.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as modules from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Keep equal to the version pinned in the root package.json. */
export const pinnedNodeMajor = 26;

/**
 * Runs `main` (a file URL) on the pinned Node with this process's arguments, and ends with its exit code. When this process already is new
 * enough (and no flags are asked) it imports `main` directly. With `keepCompiled`, compiled code is kept in node_modules/.cache: for programs
 * that run often and for a moment, whose start is most of what they cost.
 * @param {string | URL} main
 * @param {{ nodeFlags?: string[], keepCompiled?: boolean }} [options]
 */
export function launch(main, options = {}) {
  const file = fileURLToPath(main);
  const flags = options.nodeFlags ?? [];
  const running = Number(process.versions.node.split('.')[0]);
  if (options.keepCompiled) keepCompiled(file);
  if (running >= pinnedNodeMajor && flags.length === 0) return importMain(file);
  const node = running >= pinnedNodeMajor ? process.execPath : findPinnedNode(file);
  if (node === undefined) {
    process.stderr.write(`Node ${pinnedNodeMajor} or newer is needed; this is ${process.versions.node}, and no pinned one is installed for ${process.platform}-${process.arch}. Run npm ci in the project folder, or install Node ${pinnedNodeMajor}.\n`);
    process.exitCode = 1;
    return undefined;
  }
  return spawnMain(node, [...flags, file, ...process.argv.slice(2)]);
}

/** The pinned Node that npm installed in a node_modules folder at or above `from`; undefined when there is none. */
export function findPinnedNode(from) {
  const names = [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`];
  for (let folder = dirname(from); ; folder = dirname(folder)) {
    for (const name of names) {
      const candidate = join(folder, 'node_modules', name, 'bin', 'node');
      if (existsSync(candidate)) return candidate;
    }
    if (dirname(folder) === folder) return undefined;
  }
}

/** Beside what npm installed, unless the user says where; Node does without where it cannot write. */
function keepCompiled(from) {
  for (let folder = dirname(from); process.env.NODE_COMPILE_CACHE === undefined && dirname(folder) !== folder; folder = dirname(folder))
    if (existsSync(join(folder, 'node_modules', '.package-lock.json'))) process.env.NODE_COMPILE_CACHE = join(folder, 'node_modules', '.cache', 'meltemi-compiled');
}

async function importMain(file) {
  // Node read the variable before we set it.
  if (process.env.NODE_COMPILE_CACHE) modules.enableCompileCache?.(process.env.NODE_COMPILE_CACHE);
  process.argv[1] = file;
  await import(pathToFileURL(file).href);
}

function spawnMain(node, args) {
  // The IPC channel carries nothing: its closing tells the child that this process was killed.
  const child = spawn(node, args, { stdio: ['inherit', 'inherit', 'inherit', 'ipc'] });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2']) process.on(signal, () => forward(child, signal));
  return new Promise((resolve) => {
    child.on('error', (error) => {
      process.stderr.write(`${node} could not be started: ${error.message}\n`);
      process.exit(1);
    });
    child.on('exit', (code, signal) => {
      resolve();
      process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
    });
  });
}

/** Ctrl-C in a terminal reaches the whole process group: sending it on would count as the second one and skip the drain. */
function forward(child, signal) {
  if (signal === 'SIGINT' && process.stdin.isTTY) return;
  child.kill(signal);
}

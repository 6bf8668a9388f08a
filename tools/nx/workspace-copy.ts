import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync, rmSync, symlinkSync, lstatSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';

/** A copy of the workspace to try generators in: its files as they are now, its third-party packages linked, its own packages the copy's. */
export class WorkspaceCopy {
  readonly root: string;

  constructor(repository: string) {
    this.root = mkdtempSync(join(tmpdir(), 'meltemi-workspace-'));
    const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: repository, encoding: 'utf8', maxBuffer: 64 * 2 ** 20 }).split('\0');
    for (const file of files) {
      const from = join(repository, file);
      if (file === '' || !existsSync(from)) continue;
      mkdirSync(dirname(join(this.root, file)), { recursive: true });
      cpSync(from, join(this.root, file));
    }
    linkPackages(repository, this.root);
  }

  /** Runs a program in a folder of the copy; throws with what it printed when it fails. */
  run(folder: string, command: readonly [string, ...string[]]): string {
    const [file, ...args] = command;
    const env: NodeJS.ProcessEnv = { ...process.env, PATH: `${join(this.root, 'node_modules/.bin')}:${process.env['PATH'] ?? ''}`, NX_DAEMON: 'false', NX_WORKSPACE_ROOT_PATH: this.root };
    delete env['NODE_TEST_CONTEXT'];
    try {
      return execFileSync(file, args, { cwd: join(this.root, folder), encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 120_000, env });
    } catch (cause) {
      const { stdout = '', stderr = '' } = cause as { stdout?: string; stderr?: string };
      throw new Error(`${command.join(' ')} in ${folder}:\n${stdout}\n${stderr}`, { cause });
    }
  }

  write(file: string, text: string | undefined): void {
    if (text === undefined) throw new Error(`nothing to write to ${file}`);
    writeFileSync(join(this.root, file), text);
  }

  remove(): void {
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** node_modules of the root and of every package; a link to one of our packages leads to the copy of it. */
function linkPackages(repository: string, root: string): void {
  const packages = ['.', ...['apps', 'libs'].flatMap((family) => readdirSync(join(repository, family)).map((name) => `${family}/${name}`)), 'tools'];
  for (const folder of packages) {
    const modules = join(repository, folder, 'node_modules');
    if (!existsSync(modules) || !existsSync(join(root, folder))) continue;
    mkdirSync(join(root, folder, 'node_modules'));
    for (const name of readdirSync(modules)) link(repository, root, join(folder, 'node_modules', name));
  }
}

function link(repository: string, root: string, path: string): void {
  const from = join(repository, path);
  if (path.endsWith('@meltemi')) {
    mkdirSync(join(root, path));
    for (const name of readdirSync(from)) link(repository, root, join(path, name));
    return;
  }
  const target = lstatSync(from).isSymbolicLink() ? resolve(dirname(from), readlinkSync(from)) : from;
  const inside = relative(repository, target);
  const ours = !inside.startsWith('..') && !inside.startsWith('node_modules');
  symlinkSync(ours && !inside.includes('node_modules') ? join(root, inside) : target, join(root, path));
}

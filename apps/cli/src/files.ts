import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CliError } from './cli-error.ts';
import type { CommandEnvironment } from './command.ts';

/** One file's text; `name` is what the user wrote, "-" for standard input. */
export interface TextFile {
  readonly name: string;
  readonly text: string;
}

/** Reads the files, directories (their .yaml, .yml and .json files, recursively, sorted) and "-" named by -f. */
export async function readFiles(paths: readonly string[], environment: Pick<CommandEnvironment, 'stdin'>): Promise<TextFile[]> {
  const found: TextFile[] = [];
  for (const path of paths) {
    if (path === '-') found.push({ name: '-', text: await environment.stdin() });
    else for (const file of expand(path)) found.push({ name: file, text: readFileSync(file, 'utf8') });
  }
  return found;
}

function expand(path: string): string[] {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) throw new CliError(`${path}: there is no such file or directory`);
  if (!stat.isDirectory()) return [path];
  const files = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => /\.(ya?ml|json)$/.test(name)).sort().map((name) => join(path, name));
  if (files.length === 0) throw new CliError(`${path}: no .yaml, .yml or .json file in this directory`);
  return files;
}

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a command line printed. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs the CLI as a program, in `cwd`, whose home is empty. */
export async function runMeltemi(cwd: string, args: readonly string[], stdin = ''): Promise<Ran> {
  const child = spawn(process.execPath, [join(import.meta.dirname, '..', 'main.ts'), ...args], { cwd, env: { PATH: process.env['PATH'], HOME: cwd }, stdio: ['pipe', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(stdin);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

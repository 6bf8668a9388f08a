import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { CliError } from '../../cli-error.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

const deadlineMs = 20_000;

/** Runs a program of the system to its end. Code 127: there is none of this name. */
export async function run(program: string, args: readonly string[], input = ''): Promise<Ran> {
  const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: deadlineMs, env: { ...process.env, PATH: path, LC_ALL: 'C' } });
  let [out, err] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr.on('data', (data: Buffer) => (err += data.toString()));
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code: code ?? 124, out, err: code === null ? `no end within ${deadlineMs / 1000} s` : err };
  } catch {
    return { code: 127, out: '', err: `there is no program ${program}` };
  }
}

/** What a program said when it failed, and what to do when it was not allowed to. */
export function failed(program: string, { err, out, code }: Ran): CliError {
  const said = (err.trim() || out.trim() || `ended with ${code}`).split('\n').slice(0, 3).join(' ');
  if (/Permission denied|Operation not permitted|must be root|you must be root/i.test(said)) return new CliError(`${program}: ${said}\nRules are changed by root (CAP_NET_ADMIN) in the network namespace of the workload: run this with sudo, or in the workload's init container.`);
  return new CliError(`${program}: ${said}`);
}

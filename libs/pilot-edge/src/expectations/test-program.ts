import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RawObject } from '@meltemi/config';

/** An expectation that does not hold. */
export interface FailedExpectation {
  readonly name: string;
  /** What was asked, in words; "" when it could not be read. */
  readonly call: string;
  readonly differences: readonly string[];
}

/** What failed, or why nobody knows. */
export type TestRun = { readonly failed: readonly FailedExpectation[] } | { readonly failure: string };

export interface TestProgramOptions {
  /** A program that is what `meltemi` is. */
  readonly program: string;
  /** The program is killed after this. */
  readonly timeoutMs: number;
}

const maxFileBytes = 1024 * 1024;
const maxOutputBytes = 64 * 1024 * 1024;

/**
 * Runs `meltemi test` over objects, in a process of its own: explaining takes seconds of CPU, and a limit of time must hold. Secrets stay here: no
 * answer depends on what they hold.
 */
export async function runTestProgram(objects: readonly RawObject[], { program, timeoutMs }: TestProgramOptions): Promise<TestRun> {
  const folder = await mkdtemp(join(tmpdir(), 'meltemi-expectations-'));
  try {
    const files = filesOf(objects.filter(({ key }) => !(key.group === '' && key.kind === 'Secret')));
    await Promise.all(files.map((text, index) => writeFile(join(folder, `${String(index).padStart(5, '0')}.yaml`), text, { mode: 0o600 })));
    return read(await output(program, ['test', folder, '-o', 'json'], timeoutMs));
  } catch (cause) {
    return { failure: cause instanceof Error ? cause.message : String(cause) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function filesOf(objects: readonly RawObject[]): string[] {
  const files: string[] = [];
  let [parts, bytes]: [string[], number] = [[], 0];
  for (const { key, content } of objects) {
    const metadata = { ...(content['metadata'] as object), ...(key.namespace === '' ? {} : { namespace: key.namespace }) };
    const text = JSON.stringify({ ...content, metadata });
    if (bytes > 0 && bytes + text.length > maxFileBytes) {
      files.push(parts.join('\n---\n'));
      [parts, bytes] = [[], 0];
    }
    parts.push(text);
    bytes += text.length;
  }
  return [...files, parts.join('\n---\n')];
}

function output(program: string, args: readonly string[], timeoutMs: number): Promise<{ readonly out: string; readonly err: string }> {
  return new Promise((resolve, reject) => {
    // A group of its own, because the command line may hand over to another Node.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    const stop = (reason: string): void => {
      reject(new Error(reason));
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    };
    const timer = setTimeout(() => stop(`they took longer than ${timeoutMs} ms`), timeoutMs);
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => {
      out += data.toString();
      if (out.length > maxOutputBytes) stop(`the answer has more than ${maxOutputBytes} bytes`);
    });
    child.stderr.on('data', (data: Buffer) => (err = `${err}${data.toString()}`.slice(-maxFileBytes)));
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new Error(`${program}: ${cause.message}`));
    });
    child.on('close', () => {
      clearTimeout(timer);
      resolve({ out, err });
    });
  });
}

interface Printed {
  readonly name: string;
  readonly passed: boolean;
  readonly differences: readonly string[];
  readonly call?: { readonly mode?: string; readonly method?: string; readonly host?: string; readonly path?: string; readonly address?: string; readonly port?: number };
}

function read({ out, err }: { readonly out: string; readonly err: string }): TestRun {
  let printed: unknown;
  try {
    printed = JSON.parse(out);
  } catch {
    return { failure: err.trim().split('\n').at(-1) ?? 'there was no answer' };
  }
  const results = printed as readonly Printed[];
  return { failed: results.filter(({ passed }) => !passed).map(({ name, differences, call }) => ({ name, differences, call: call ? callText(call) : '' })) };
}

function callText({ mode = '', method = '', host = '', path = '', address = '', port = 0 }: NonNullable<Printed['call']>): string {
  const to = host === '' ? '' : `${host}${path}`;
  const place = port === 0 ? '' : `port ${address === '' ? port : `${address}:${port}`}`;
  return [mode, method, to, place].filter((one) => one !== '').join(' ');
}

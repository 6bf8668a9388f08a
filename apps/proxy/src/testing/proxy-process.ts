import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { waitFor, withDeadline } from '@meltemi/base';
import { stringify } from 'yaml';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));

/** How the program ended. */
export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface StartOptions {
  /** Bootstrap as YAML instead of JSON. */
  readonly yaml?: boolean;
  readonly args?: readonly string[];
  /** main.js of a bundle, instead of the sources. */
  readonly program?: string;
  /** Flags of Node itself. */
  readonly node?: readonly string[];
  /** RLIMIT_NOFILE of the program. */
  readonly descriptors?: number;
}

/** A running meltemi-proxy. */
export interface RunningProxy {
  readonly dir: string;
  readonly pid: number;
  /** Port of a listener, or of "admin". */
  port(name: string): number;
  /** Standard output and error so far. */
  out(): string;
  err(): string;
  /** Sends the signal and waits for the end. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
  signal(signal: NodeJS.Signals): void;
  /** Whoever read its standard output is gone. */
  closeOutput(): void;
  readonly ended: Promise<Ended>;
  /** Kills what is left and removes the folder. */
  [Symbol.asyncDispose](): Promise<void>;
}

interface Spawned {
  readonly child: ChildProcess;
  readonly text: { out: string; err: string };
  readonly ended: Promise<Ended>;
}

function launch(args: readonly string[], { program = main, node = [], descriptors }: Pick<StartOptions, 'program' | 'node' | 'descriptors'> = {}): Spawned {
  const command = [process.execPath, ...node, program, ...args];
  const [first = '', ...rest] = descriptors === undefined ? command : ['/bin/sh', '-c', `ulimit -n ${descriptors} && exec "$@"`, 'sh', ...command];
  const child = spawn(first, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (part: string) => { text.out += part; });
  child.stderr.setEncoding('utf8').on('data', (part: string) => { text.err += part; });
  const ended = new Promise<Ended>((resolve) => child.once('close', (code) => resolve({ code, ...text })));
  return { child, text, ended };
}

/** Runs the program to its end. */
export async function runToEnd(args: readonly string[]): Promise<Ended> {
  const { child, ended } = launch(args);
  try {
    return await withDeadline(ended, 20_000, `meltemi-proxy ${args.join(' ')}`);
  } finally {
    child.kill('SIGKILL');
  }
}

/** Resident memory of a process. */
export function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) * 1024;
}

/** Processor time that a process has used, user and system, in seconds. */
export function processorSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) /, '').split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** A folder of its own for a test. */
export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), 'meltemi-proxy-'));
}

/** Writes the bootstrap as YAML or JSON, and returns its path. A string is written as it is. */
export function writeBootstrap(dir: string, bootstrap: unknown, yaml = false): string {
  const path = join(dir, yaml ? 'bootstrap.yaml' : 'bootstrap.json');
  writeFileSync(path, typeof bootstrap === 'string' ? bootstrap : yaml ? stringify(bootstrap, { aliasDuplicateObjects: false }) : JSON.stringify(bootstrap));
  return path;
}

/** Starts the program from a bootstrap and waits until it serves. */
export async function startProxy(bootstrap: unknown, options: StartOptions = {}): Promise<RunningProxy> {
  const dir = temporaryFolder();
  const portsFile = join(dir, 'ports.json');
  const { child, text, ended } = launch(['-c', writeBootstrap(dir, bootstrap, options.yaml), '--ports-file', portsFile, '--file-flush-interval-msec', '20', ...(options.args ?? [])], options);
  const over = () => child.exitCode !== null || child.signalCode !== null;
  const dispose = async () => {
    if (!over()) child.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await waitFor('the proxy to start', () => existsSync(portsFile) || over(), { deadlineMs: 60_000 });
    if (over()) throw new Error(`the proxy ended: ${text.err}${text.out}`);
  } catch (cause) {
    await dispose();
    throw cause;
  }
  const { ports } = JSON.parse(readFileSync(portsFile, 'utf8')) as { ports: Record<string, number> };
  return {
    dir,
    pid: child.pid ?? 0,
    port: (name) => {
      const port = ports[name];
      if (port === undefined) throw new Error(`no port ${name} among ${Object.keys(ports).join(', ')}`);
      return port;
    },
    out: () => text.out,
    err: () => text.err,
    stop: (signal = 'SIGTERM') => {
      child.kill(signal);
      return withDeadline(ended, 20_000, 'stopping the proxy');
    },
    signal: (signal) => void child.kill(signal),
    closeOutput: () => void child.stdout?.destroy(),
    ended,
    [Symbol.asyncDispose]: dispose,
  };
}

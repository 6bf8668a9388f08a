import { execFile } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BenchChild, type ChildSpec } from '../child.ts';
import { processUsage, threadCpuMicros } from '../machine.ts';
import { makeCertificates, type Certificates } from './certificates.ts';

const execute = promisify(execFile);

/** Which cores the parts keep to; undefined lets them roam. */
export interface Cores {
  readonly proxy: number | undefined;
  readonly load: number | undefined;
}

export interface BenchOptions {
  readonly dir: string;
  readonly cores: Cores;
  readonly connections: number;
  /** Aborted when the bench is told to end: nothing starts from then on, load programs are stopped. */
  readonly signal: AbortSignal;
  /** Node flags for our proxy: how a profile is taken. */
  readonly proxyFlags?: readonly string[];
}

/** What one case works with: a folder, certificates, and the processes it started, which end with it. */
export class Bench {
  readonly options: BenchOptions;
  readonly #children: BenchChild[] = [];
  #certificates: Certificates | undefined;
  #names = 0;

  constructor(options: BenchOptions) {
    this.options = options;
  }

  get dir(): string {
    return this.options.dir;
  }

  /** One small authority per case. */
  get certificates(): Certificates {
    return (this.#certificates ??= makeCertificates(this.dir));
  }

  /** A name for files that no other process of this case has. */
  unique(name: string): string {
    return `${name}-${++this.#names}`;
  }

  /** Starts a process that ends with the case at the latest. */
  spawn(spec: Omit<ChildSpec, 'logFile'>): BenchChild {
    if (this.options.signal.aborted) throw new Error('the bench is stopping');
    const child = new BenchChild({ ...spec, logFile: join(this.dir, `${spec.name}.log`) });
    this.#children.push(child);
    return child;
  }

  /** Runs a load program on the load's core to its end and returns what it wrote. Rejects when it fails or takes longer than `seconds`. */
  async run(command: readonly [string, ...string[]], seconds: number): Promise<string> {
    const { load } = this.options.cores;
    const [file, ...args] = load === undefined ? command : (['taskset', '-c', String(load), ...command] as const);
    const { stdout } = await execute(file, args, { timeout: seconds * 1000, signal: this.options.signal, maxBuffer: 16 * 2 ** 20, env: { ...process.env, NODE_OPTIONS: '' } });
    return stdout;
  }

  /** Runs one of the load programs beside this file with a JSON argument; it answers in JSON. */
  async runProgram<T>(name: string, argument: unknown, seconds: number): Promise<T> {
    return JSON.parse(await this.run(programOf(name, argument), seconds)) as T;
  }

  /** Ends what was started since `mark()`, newest first: nobody loses its backend before itself. */
  async stop(mark = 0): Promise<void> {
    for (const child of this.#children.slice(mark).reverse()) await child.stop();
    this.#children.length = Math.min(mark, this.#children.length);
  }

  /** Processes whose name starts so. */
  childrenNamed(prefix: string): BenchChild[] {
    return this.#children.filter(({ spec }) => spec.name.startsWith(prefix));
  }

  mark(): number {
    return this.#children.length;
  }

  /** Empties the access logs, which would fill the disk otherwise. All writers append, so they go on at the start. */
  emptyLogs(): void {
    for (const name of readdirSync(this.dir)) {
      if (!name.endsWith('access.log')) continue;
      const file = openSync(join(this.dir, name), 'r+');
      ftruncateSync(file);
      closeSync(file);
    }
  }
}

/** The command of a program under loads/. */
export function programOf(name: string, argument: unknown): readonly [string, ...string[]] {
  return [process.execPath, fileURLToPath(new URL(`./loads/${name}.ts`, import.meta.url)), JSON.stringify(argument)];
}

/** CPU and memory of a contestant: all its processes together. */
export function usageOf(children: readonly BenchChild[]): { cpuMicros: number; rssBytes: number } {
  return {
    cpuMicros: children.reduce((sum, { pid }) => sum + threadCpuMicros(pid), 0),
    rssBytes: children.reduce((sum, { pid }) => sum + processUsage(pid).rssBytes, 0),
  };
}

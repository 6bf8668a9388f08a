import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { createServer, connect } from 'node:net';
import { waitFor, withDeadline } from '@meltemi/base';

/** How to start one foreground process of a bench. */
export interface ChildSpec {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly logFile: string;
  /** Standard output goes to this file instead of the log file. */
  readonly stdoutFile?: string;
  /** Core to keep it on; undefined lets it roam. */
  readonly core?: number | undefined;
  readonly env?: Readonly<Record<string, string>>;
}

/** A process that a bench started and will stop, by its own pid. */
export class BenchChild {
  readonly spec: ChildSpec;
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;
  #startError = '';

  constructor(spec: ChildSpec) {
    this.spec = spec;
    // Debian keeps nginx and haproxy in /usr/sbin. taskset becomes the program it starts, so the pid is the program's.
    const [file, ...args] = spec.core === undefined ? spec.command : (['taskset', '-c', String(spec.core), ...spec.command] as const);
    // The child writes its files itself: passing its lines on would cost the bench CPU on a core it measures.
    const log = openSync(spec.logFile, 'a', 0o600);
    const output = spec.stdoutFile === undefined ? log : openSync(spec.stdoutFile, 'a', 0o600);
    this.#child = spawn(file, args, { stdio: ['ignore', output, log], env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, NODE_OPTIONS: '', ...spec.env } });
    for (const open of new Set([log, output])) closeSync(open);
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', (cause) => {
        this.#startError = cause.message;
        resolve();
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get running(): boolean {
    return this.#child.pid !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Waits until it accepts on this port; rejects with its log when it ends or is late. */
  async listening(port: number): Promise<void> {
    await waitFor(`${this.spec.name} to listen on 127.0.0.1:${port}`, () => !this.running || accepts(port), { deadlineMs: 15_000, everyMs: 50 });
    if (!this.running) throw new Error(`${this.spec.name} ended at once (${this.#child.exitCode ?? this.#child.signalCode}):\n${this.log()}`);
  }

  /** The last lines it wrote. */
  log(): string {
    if (this.#startError !== '') return this.#startError;
    return existsSync(this.spec.logFile) ? readFileSync(this.spec.logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n') : '';
  }

  /** SIGTERM, then SIGKILL after five seconds. */
  async stop(): Promise<void> {
    if (!this.running) return;
    this.#child.kill('SIGTERM');
    await withDeadline(this.#ended, 5000, `stopping ${this.spec.name}`).catch(() => {
      this.#child.kill('SIGKILL');
      return this.#ended;
    });
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

/** A port of 127.0.0.1 that nobody has at the moment. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

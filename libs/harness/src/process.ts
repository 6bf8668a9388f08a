import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync, rmSync } from 'node:fs';
import { waitFor, withDeadline } from '@meltemi/base';

/** How to start one process of a mesh. */
export interface ProcessSpec {
  readonly name: string;
  readonly command: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
  /** Standard output and error go here, appended. */
  readonly logFile: string;
  /** Where the program writes what it bound; `start` waits for it. Without one, start does not wait. */
  readonly portsFile?: string;
  readonly startDeadlineMs?: number;
}

/** A running (or killed, or restarted) process of a mesh. */
export class MeshProcess {
  readonly spec: ProcessSpec;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(spec: ProcessSpec) {
    this.spec = spec;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Starts it and waits until it wrote its ports file. Rejects with the log's last lines when it ends or is late. */
  async start(): Promise<void> {
    const { command: [file, ...args], portsFile, logFile } = this.spec;
    if (portsFile) rmSync(portsFile, { force: true });
    const log = openSync(logFile, 'a', 0o600);
    const child = spawn(file, args, { stdio: ['ignore', log, log], env: { ...cleanEnvironment(), ...this.spec.env } });
    closeSync(log);
    this.#child = child;
    endWithUs(child);
    this.#exited = new Promise((resolve) => {
      child.once('exit', () => resolve());
      child.once('error', () => resolve());
    });
    if (portsFile) await this.#started(portsFile);
  }

  async #started(portsFile: string): Promise<void> {
    const started = () => {
      if (existsSync(portsFile)) return true;
      return !this.running;
    };
    await waitFor(`${this.spec.name} to start`, started, { deadlineMs: this.spec.startDeadlineMs ?? 30_000 }).catch((cause: unknown) => {
      throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${this.tail()}`);
    });
    if (!this.running) throw new Error(`${this.spec.name} ended while starting (exit code ${this.#child?.exitCode ?? 'none'}):\n${this.tail()}`);
  }

  /** The ports it bound, by name, from its ports file. */
  ports(): Readonly<Record<string, number>> {
    if (!this.spec.portsFile) return {};
    return (JSON.parse(readFileSync(this.spec.portsFile, 'utf8')) as { ports: Record<string, number> }).ports;
  }

  /** SIGKILL, and waits for the end. */
  async kill(): Promise<void> {
    this.#child?.kill('SIGKILL');
    await this.#exited;
  }

  /** SIGTERM, then SIGKILL after the deadline. */
  async stop(deadlineMs = 10_000): Promise<void> {
    if (!this.running) return;
    this.#child?.kill('SIGTERM');
    await withDeadline(this.#exited, deadlineMs, `stopping ${this.spec.name}`).catch(() => this.kill());
  }

  /** Resolves when the process has ended by itself or by a signal. */
  exited(): Promise<void> {
    return this.#exited;
  }

  get exitCode(): number | null {
    return this.#child?.exitCode ?? null;
  }

  /** The last lines of its log, for messages. */
  tail(lines = 15): string {
    if (!existsSync(this.spec.logFile)) return '';
    return readFileSync(this.spec.logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
  }
}

const children = new Set<ChildProcess>();

/** A parent that ends without stop(), by an error nobody caught, takes its mesh along. */
function endWithUs(child: ChildProcess): void {
  if (children.size === 0) process.on('exit', killChildren);
  children.add(child);
  child.once('exit', () => {
    children.delete(child);
    if (children.size === 0) process.off('exit', killChildren);
  });
}

function killChildren(): void {
  for (const child of children) child.kill('SIGKILL');
}

/** The environment without npm's and the caller's proxy settings, which would send a program's calls elsewhere. */
function cleanEnvironment(): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(process.env))
    if (value !== undefined && !/^(npm_|https?_proxy$|all_proxy$|no_proxy$|NODE_TEST_CONTEXT$|NODE_OPTIONS$|NODE_USE_ENV_PROXY$|ISTIO_META|MELTEMI_)/i.test(name)) kept[name] = value;
  return kept;
}

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { ConfigServiceClient, type ApplyResponse, type DeleteResponse, type ListResponse, type ObjectKey } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor } from '@meltemi/base';
import { parseYamlDocuments } from '@meltemi/config';

/** What a command line printed. */
export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

const apps = join(import.meta.dirname, '..', '..', '..');

/** The pilot program with its own directory, config folder, socket and command line: for tests. */
export class PilotProgram {
  readonly dir = mkdtempSync(join(tmpdir(), 'pilot-app-'));
  readonly config = join(this.dir, 'config');
  readonly socket = join(this.dir, 'c.sock');
  readonly #context = join(this.dir, 'context.json');
  readonly #flags: readonly string[];
  readonly #env: NodeJS.ProcessEnv;
  #child: ChildProcess | undefined;
  #log = '';
  #ports: Readonly<Record<string, number>> = {};
  #clients: ConfigServiceClient[] = [];

  constructor(flags: readonly string[] = ['--plaintext-listen', '127.0.0.1:0'], env: NodeJS.ProcessEnv = {}) {
    this.#flags = flags;
    this.#env = env;
    mkdirSync(this.config, { recursive: true });
    writeFileSync(this.#context, JSON.stringify({ configSocket: this.socket, proxies: [] }));
  }

  get log(): string {
    return this.#log;
  }

  /** "127.0.0.1:41234" of a port of the ports file; after a restart the same one again, as a real pilot's. */
  address(name: string): string {
    return `127.0.0.1:${this.#ports[name] ?? 0}`;
  }

  /** Starts it, or starts it again where it was. Resolves when it has read its configuration. */
  async start(): Promise<this> {
    const child = this.launch();
    await waitFor('pilot to be ready', async () => {
      if (child.exitCode !== null) throw new Error(`pilot ended: ${this.#log}`);
      this.#readPorts();
      return (await fetch(`http://${this.address('admin')}/healthz/ready`)).ok;
    }, { deadlineMs: 30_000 });
    return this;
  }

  /** Starts it and waits for nothing. */
  launch(): ChildProcess {
    rmSync(join(this.dir, 'ports.json'), { force: true });
    const flags = this.#flags.map((flag, index) => (this.#flags[index - 1] === '--plaintext-listen' && flag === '127.0.0.1:0' ? `127.0.0.1:${this.#ports['xds-plaintext'] ?? 0}` : flag));
    const child = spawn(process.execPath, [
      join(apps, 'pilot/src/main.ts'), '--state-dir', join(this.dir, 'state'), '--config-dir', this.config, '--config-socket', this.socket, '--listen', '127.0.0.1:0',
      '--admin-listen', '127.0.0.1:0', '--ports-file', join(this.dir, 'ports.json'), '--debounce-after', '20ms', '--reconnect-grace', '0s', ...flags,
    ], { env: { PATH: process.env['PATH'], ...this.#env }, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (this.#log += data.toString()));
    this.#child = child;
    return child;
  }

  /** Ends it; the exit code, null after SIGKILL. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    for (const client of this.#clients.splice(0)) client.close();
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return null;
    child.kill(signal);
    const [code] = (await once(child, 'exit')) as [number | null];
    return code;
  }

  async remove(): Promise<void> {
    await this.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** Writes a file of the watched directory. */
  write(name: string, text: string): void {
    mkdirSync(dirname(join(this.config, name)), { recursive: true });
    writeFileSync(join(this.config, name), text);
  }

  /** Runs `meltemi` against this pilot. */
  async meltemi(args: readonly string[], stdin = ''): Promise<Ran> {
    const child = spawn(process.execPath, [join(apps, 'cli/src/main.ts'), '--context', this.#context, ...args], { cwd: this.dir, env: { PATH: process.env['PATH'], HOME: this.dir }, stdio: ['pipe', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.stdin.on('error', () => undefined);
    child.stdin.end(stdin);
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, out, err };
  }

  /** `meltemi apply -f -`. */
  apply(yaml: string, ...args: string[]): Promise<Ran> {
    return this.meltemi(['apply', '-f', '-', ...args], yaml);
  }

  api(): ConfigServiceClient {
    const client = new ConfigServiceClient(`unix:${this.socket}`, credentials.createInsecure());
    this.#clients.push(client);
    return client;
  }

  /** The Apply call itself: rejects with the gRPC status. */
  applyCall(yaml: string, expectedResourceVersion = ''): Promise<ApplyResponse> {
    const items = parseYamlDocuments(yaml, 'test').documents.map(({ raw }) => ({ json: JSON.stringify(raw?.content), expectedResourceVersion }));
    return answer((done) => this.api().apply({ items, defaultNamespace: 'default', dryRun: false }, new Metadata(), { deadline: Date.now() + 10_000 }, done));
  }

  deleteCall(...keys: ObjectKey[]): Promise<DeleteResponse> {
    return answer((done) => this.api().delete({ keys, dryRun: false }, done));
  }

  list(kind = ''): Promise<ListResponse> {
    return answer((done) => this.api().list({ group: '', kind, namespace: '' }, done));
  }

  #readPorts(): void {
    const file = join(this.dir, 'ports.json');
    if (!existsSync(file)) throw new Error(`no ports file yet; log: ${this.#log}`);
    this.#ports = (JSON.parse(readFileSync(file, 'utf8')) as { ports: Record<string, number> }).ports;
  }
}

function answer<T>(call: (done: (error: ServiceError | null, value: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => void call((error, value) => (error ? reject(error) : resolve(value))));
}

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@meltemi/base';
import { MeshProcess, programCommand } from '@meltemi/harness';
import { processUsage, threadCpuMicros } from '../machine.ts';
import { AdsProxy, nodeOf } from './ads-proxy.ts';
import { LightClient, type Names } from './light-client.ts';
import { writeChangingPod, writeChangingRoute, writeMesh } from './mesh-files.ts';
import type { Cost, MeshResult } from './report.ts';

export interface MeshSettings {
  readonly services: number;
  readonly endpoints: number;
  readonly rules: number;
  readonly namespaces: number;
  /** Numbers of clients at which changes are measured, growing. */
  readonly clients: readonly number[];
  readonly changes: number;
  readonly from: 'bundle' | 'source';
  readonly profile?: string;
  /** When to give up, on `performance.now()`'s clock. */
  readonly until: number;
}

/** CPU within a look of 200 ms that counts as rest; V8's sampling profiler takes more than that by itself. */
const restMicros = { plain: 3000, profiled: 30_000 } as const;

/** Clients that are being served at one time: more would only wait for each other. */
const together = 8;

/** One mesh, one pilot: from its start to the last change with the most clients. */
export async function measureMesh(settings: MeshSettings): Promise<MeshResult> {
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-bench-'));
  const [node, ...args] = programCommand('pilot', settings.from);
  const command = [
    node, ...(settings.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${settings.profile}`]), ...args,
    '--config-dir', join(dir, 'mesh'), '--config-dir', join(dir, 'changing'), '--state-dir', join(dir, 'state'), '--plaintext-listen', '127.0.0.1:0',
    '--admin-listen', '127.0.0.1:0', '--log-level', 'warn', '--ports-file', join(dir, 'ports.json'),
  ] as [string, ...string[]];
  const pilot = new MeshProcess({ name: 'pilot', command, logFile: join(dir, 'pilot.log'), portsFile: join(dir, 'ports.json') });
  const run = new Run(settings, dir, pilot);
  const interrupted = () => void run.stop().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  try {
    return await run.measure();
  } catch (cause) {
    throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${pilot.tail()}`, { cause });
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
    await run.stop();
  }
}

class Run {
  readonly #settings: MeshSettings;
  readonly #dir: string;
  readonly #pilot: MeshProcess;
  readonly #clients: LightClient[] = [];
  #reader: AdsProxy | undefined;
  #generation = 1;
  #port = 0;

  constructor(settings: MeshSettings, dir: string, pilot: MeshProcess) {
    this.#settings = settings;
    this.#dir = dir;
    this.#pilot = pilot;
  }

  async measure(): Promise<MeshResult> {
    const { services, endpoints, rules, clients } = this.#settings;
    const start = await this.#start();
    const rssStart = this.#rss();
    const first = await this.#first();
    const steps = [];
    for (const count of clients) {
      const connected = await this.#connect(count);
      const rss = this.#rss();
      steps.push({ clients: count, connect: connected, endpoint: await this.#times(() => this.#changeEndpoint()), route: await this.#times(() => this.#changeRoute()), rssBytes: rss, rssAfterBytes: this.#rss() });
    }
    return { services, endpoints, rules, start, first, rssStartBytes: rssStart, steps };
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.stop();
    await this.#reader?.stop();
    await this.#pilot.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  /** From nothing to the first snapshot: reading the YAML is in it. */
  async #start(): Promise<Cost> {
    writeMesh(join(this.#dir, 'mesh'), this.#settings);
    writeChangingPod(join(this.#dir, 'changing'), this.#generation, this.#settings);
    writeChangingRoute(join(this.#dir, 'changing'), this.#generation, this.#settings);
    const started = performance.now();
    await this.#pilot.start();
    const { admin, 'xds-plaintext': xds } = this.#pilot.ports();
    if (admin === undefined || xds === undefined) throw new Error(`pilot's ports file names no admin or xds-plaintext port: ${JSON.stringify(this.#pilot.ports())}`);
    this.#port = xds;
    await waitFor('pilot to be ready', async () => (await fetch(`http://127.0.0.1:${admin}/healthz/ready`)).ok, { deadlineMs: this.#atMost(180_000), everyMs: 20 });
    const elapsedMs = performance.now() - started;
    await this.#calm();
    return { cpuMs: threadCpuMicros(this.#pilot.pid) / 1000, bytes: 0, elapsedMs };
  }

  /** A client that reads everything: what it asks for, the others ask for, too. */
  async #first(): Promise<Cost> {
    return this.#cost('the first client to be served', () => (this.#reader = new AdsProxy(this.#port, nodeOf(0, this.#settings.namespaces))), () => this.#reader?.served === true, () => this.#reader?.resourceBytes ?? 0);
  }

  /** Connects up to `count` clients; the cost of one, on average. */
  async #connect(count: number): Promise<Cost> {
    const names: Names = this.#reader?.names ?? { endpoints: [], routes: [] };
    const before = this.#clients.length;
    const total = await this.#cost(`${count} clients to be served`, () => undefined, () => {
      const waiting = this.#clients.filter((client) => !client.served).length;
      for (let more = waiting; more < together && this.#clients.length < count; more++) this.#clients.push(new LightClient(this.#port, nodeOf(this.#clients.length + 1, this.#settings.namespaces), names));
      return this.#clients.length === count && waiting === 0;
    }, () => this.#clients.slice(before).reduce((sum, client) => sum + client.received, 0));
    const added = Math.max(1, count - before);
    return { cpuMs: total.cpuMs / added, bytes: total.bytes / added, elapsedMs: total.elapsedMs / added };
  }

  #changeEndpoint(): Promise<Cost> {
    return this.#change('an endpoint change', () => void writeChangingPod(join(this.#dir, 'changing'), ++this.#generation, this.#settings));
  }

  #changeRoute(): Promise<Cost> {
    return this.#change('a VirtualService', () => writeChangingRoute(join(this.#dir, 'changing'), ++this.#generation, this.#settings));
  }

  /** Until every client has had one response; what else comes would show in the bytes. */
  #change(what: string, act: () => void): Promise<Cost> {
    for (const client of this.#clients) client.begin();
    return this.#cost(`${what} to reach every client`, act, () => this.#clients.every((client) => client.responses > 0), () => this.#clients.reduce((sum, client) => sum + client.received, 0));
  }

  async #cost(what: string, act: () => unknown, done: () => boolean, bytes: () => number): Promise<Cost> {
    await this.#calm();
    const [cpu, started] = [threadCpuMicros(this.#pilot.pid), performance.now()];
    act();
    await waitFor(what, done, { deadlineMs: this.#atMost(600_000), everyMs: 2 });
    const elapsedMs = performance.now() - started;
    await this.#calm();
    return { cpuMs: (threadCpuMicros(this.#pilot.pid) - cpu) / 1000, bytes: bytes(), elapsedMs };
  }

  async #times(act: () => Promise<Cost>): Promise<Cost[]> {
    const costs: Cost[] = [];
    for (let i = 0; i < this.#settings.changes; i++) costs.push(await act());
    return costs;
  }

  /** A step's deadline, within that of the whole. */
  #atMost(deadlineMs: number): number {
    const leftMs = this.#settings.until - performance.now();
    if (leftMs <= 0) throw new Error('the time for the whole bench is over: --minutes gives it more');
    return Math.min(deadlineMs, leftMs);
  }

  #rss(): number {
    return processUsage(this.#pilot.pid).rssBytes;
  }

  /** Waits until the process has rested for a while, so that a step's tail counts to it and not to the next. */
  async #calm(): Promise<void> {
    const rest = this.#settings.profile === undefined ? restMicros.plain : restMicros.profiled;
    let before = threadCpuMicros(this.#pilot.pid);
    await waitFor('pilot to come to rest', () => {
      const now = threadCpuMicros(this.#pilot.pid);
      const rested = now - before < rest;
      before = now;
      return rested;
    }, { deadlineMs: this.#atMost(120_000), everyMs: 200 });
  }
}

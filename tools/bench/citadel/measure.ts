import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '@meltemi/base';
import { MeshProcess, programCommand } from '@meltemi/harness';
import { processUsage, threadCpuMicros } from '../machine.ts';
import { Caller, certificatesIn, keyKinds, type KeyKind } from './caller.ts';

export interface CitadelSettings {
  readonly seconds: number;
  readonly rounds: number;
  /** Workloads, a connection each. */
  readonly callers: number;
  /** Requests that each has under way in the closed loop. */
  readonly outstanding: number;
  readonly perSecond: number;
  readonly from: 'bundle' | 'source';
  /** Core of citadel; the load keeps off it as far as the scheduler lets it. */
  readonly core: number | undefined;
  readonly profile?: string;
}

/** As fast as it goes. */
export interface Throughput {
  readonly certificates: number;
  readonly elapsedMs: number;
  /** All of citadel's threads. */
  readonly cpuMs: number;
}

/** At fixed times. Milliseconds from when a request was due. */
export interface Latency {
  readonly requests: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface KindResult {
  readonly kind: KeyKind;
  readonly open: readonly Throughput[];
  readonly apart: readonly Throughput[];
  readonly openLatency: Latency;
  readonly apartLatency: Latency;
}

export interface CitadelResult {
  readonly kinds: readonly KindResult[];
  readonly rssStartBytes: number;
  readonly rssEndBytes: number;
  readonly issued: number;
}

const warmUpMs = 1500;

/** One citadel with a keystore on disk, from its start to the last certificate. */
export async function measureCitadel(settings: CitadelSettings): Promise<CitadelResult> {
  const dir = mkdtempSync(join(tmpdir(), 'meltemi-bench-'));
  const [node, ...args] = programCommand('citadel', settings.from);
  const options = [
    ...(settings.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${settings.profile}`]), ...args, '--state-dir', dir, '--listen', '127.0.0.1:0',
    '--admin-listen', '127.0.0.1:0', '--max-requests-per-client', '100000', '--ports-file', join(dir, 'ports.json'),
  ];
  const command: [string, ...string[]] = settings.core === undefined ? [node, ...options] : ['taskset', '-c', String(settings.core), node, ...options];
  const citadel = new MeshProcess({ name: 'citadel', command, logFile: join(dir, 'citadel.log'), portsFile: join(dir, 'ports.json') });
  const run = new Run(settings, dir, citadel);
  const interrupted = () => void run.stop().finally(() => process.exit(130));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, interrupted);
  try {
    return await run.measure();
  } catch (cause) {
    throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${citadel.tail()}`, { cause });
  } finally {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, interrupted);
    await run.stop();
  }
}

/** How a caller gets one certificate. */
type Ask = (caller: Caller) => Promise<Buffer>;

class Run {
  readonly #settings: CitadelSettings;
  readonly #dir: string;
  readonly #citadel: MeshProcess;
  readonly #callers: Caller[] = [];
  #issued = 0;

  constructor(settings: CitadelSettings, dir: string, citadel: MeshProcess) {
    this.#settings = settings;
    this.#dir = dir;
    this.#citadel = citadel;
  }

  async measure(): Promise<CitadelResult> {
    await this.#citadel.start();
    const { grpc } = this.#citadel.ports();
    if (grpc === undefined) throw new Error("citadel's ports file names no grpc port");
    const rssStartBytes = processUsage(this.#citadel.pid).rssBytes;
    for (let index = 0; index < this.#settings.callers; index += 1) this.#callers.push(await Caller.join(`127.0.0.1:${grpc}`, join(this.#dir, 'citadel.sock'), index));
    const kinds: KindResult[] = [];
    for (const kind of keyKinds) kinds.push(await this.#kind(kind));
    return { kinds, rssStartBytes, rssEndBytes: processUsage(this.#citadel.pid).rssBytes, issued: this.#issued };
  }

  async stop(): Promise<void> {
    for (const caller of this.#callers.splice(0)) caller.stop();
    await this.#citadel.stop();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  async #kind(kind: KeyKind): Promise<KindResult> {
    const { seconds, rounds } = this.#settings;
    const [open, apart]: [Throughput[], Throughput[]] = [[], []];
    const overOpen: Ask = (caller) => caller.issue(kind);
    const overOwn: Ask = (caller) => caller.issueApart(kind);
    await this.#throughput(overOpen, warmUpMs);
    await this.#throughput(overOwn, warmUpMs);
    for (let round = 0; round < rounds; round += 1) {
      open.push(await this.#throughput(overOpen, seconds * 1000));
      apart.push(await this.#throughput(overOwn, seconds * 1000));
    }
    return { kind, open, apart, openLatency: await this.#latency(overOpen), apartLatency: await this.#latency(overOwn) };
  }

  /** Closed loop: every caller asks again as soon as it was answered. */
  async #throughput(ask: Ask, forMs: number): Promise<Throughput> {
    const { outstanding } = this.#settings;
    const before = threadCpuMicros(this.#citadel.pid);
    const started = performance.now();
    let certificates = 0;
    const loop = async (caller: Caller): Promise<void> => {
      while (performance.now() - started < forMs) {
        this.#check(await ask(caller), certificates);
        certificates += 1;
      }
    };
    await Promise.all(this.#callers.flatMap((caller) => Array.from({ length: outstanding }, () => loop(caller))));
    const elapsedMs = performance.now() - started;
    await this.#calm();
    this.#issued += certificates;
    return { certificates, elapsedMs, cpuMs: (threadCpuMicros(this.#citadel.pid) - before) / 1000 };
  }

  /** Open loop: requests are due at fixed times, whether answers came or not. */
  async #latency(ask: Ask): Promise<Latency> {
    const { seconds, perSecond } = this.#settings;
    const count = Math.max(1, Math.round(seconds * perSecond));
    const started = performance.now() + 20;
    const latencies: number[] = [];
    const pending: Promise<void>[] = [];
    for (let index = 0; index < count; index += 1) {
      const due = started + (index * 1000) / perSecond;
      const wait = due - performance.now();
      if (wait > 0) await delay(wait);
      const caller = this.#callers[index % this.#callers.length];
      if (!caller) break;
      pending.push(ask(caller).then((answer) => {
        latencies.push(performance.now() - due);
        this.#check(answer, index);
      }));
    }
    await Promise.all(pending);
    this.#issued += count;
    latencies.sort((a, b) => a - b);
    const at = (share: number): number => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
    return { requests: count, p50: at(0.5), p99: at(0.99), max: at(1) };
  }

  /** A few are read: to read all would cost the load more than they cost citadel. */
  #check(answer: Buffer, index: number): void {
    if (index % 500 === 0 && certificatesIn(answer) !== 3) throw new Error('an answer does not hold leaf, issuing CA and root');
  }

  /** Waits until citadel has rested for a while, so that a step's tail counts to it. */
  async #calm(): Promise<void> {
    let before = threadCpuMicros(this.#citadel.pid);
    await waitFor('citadel to come to rest', () => {
      const now = threadCpuMicros(this.#citadel.pid);
      const rested = now - before < 5000;
      before = now;
      return rested;
    }, { deadlineMs: 20_000, everyMs: 100 });
  }
}

import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { withDeadline } from '@meltemi/base';
import type { FlatStats, StatsRegistry, DeltaMerger } from '@meltemi/observe';
import { AtomicRows, AtomicState, sharedRowsBuffer, sharedStateBuffer, type DrainStrategy, type NodeFacts } from '@meltemi/proxy';
import type { OverloadConfig } from '@meltemi/snapshot';
import type { ProgramDrain } from '../server/program-drain.ts';
import { Outlet } from './outlet.ts';
import { beatIntervalMs, defaultWatchdog, Watchdog, type WatchdogLimits } from './watchdog.ts';
import { healthFlags, type BoundListener, type FromWorker, type HostDescription, type ResourceUpdate, type ToWorker, type WorkerDescription, type WorkerRefusal, type WorkerSetup } from './worker-messages.ts';

export interface PoolLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface WorkerPoolOptions {
  /** The worker's program. */
  readonly script: URL;
  readonly concurrency: number;
  readonly node: NodeFacts;
  readonly drainTimeMs: number;
  readonly drainStrategy: DrainStrategy;
  readonly fileFlushMs: number;
  /** Default Envoy's, and an end after half a minute. */
  readonly watchdog?: WatchdogLimits | undefined;
  /** Default: none. */
  readonly overload?: OverloadConfig | null;
  readonly metrics: StatsRegistry;
  readonly flat: FlatStats;
  /** Everything in force, for a worker that starts. */
  readonly state: () => ResourceUpdate;
  readonly log: PoolLog;
  /** Encoded access log entries for a gRPC sink. */
  readonly onReports: (sink: string, entries: readonly Uint8Array[]) => void;
}

const answerDeadlineMs = 10_000;
const readyDeadlineMs = 30_000;
/** A worker that dies again and again is not restarted in a tight loop; one that served for a while is replaced at once. */
const restartDelayMs = 250;
const provenMs = 5000;

/**
 * Megabytes of new objects between two small collections of a worker. Each costs a third of a millisecond, whatever it finds: with 1 there were 130 of them
 * a second, 5 % of the worker's time; 4 would cost 4 MB of memory more. The control thread has less (apps/proxy/src/restart-frugal.ts).
 */
const semiSpaceMb = 2;

interface Slot {
  readonly index: number;
  readonly startedMs: number;
  worker: Worker;
  metrics: DeltaMerger;
  flat: DeltaMerger;
  ready: Promise<readonly WorkerRefusal[]>;
  markReady: (refusals: readonly WorkerRefusal[]) => void;
  readonly waiting: Map<number, (message: FromWorker) => void>;
  watchdog: Watchdog | null;
  /** The worker ended: it answers nothing more, and its successor begins with the state of then. */
  ended: boolean;
}

/** N worker threads that carry the traffic. A dead one is replaced; the others' listeners stay up meanwhile. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #slots: Slot[] = [];
  readonly #shared = sharedStateBuffer();
  readonly #sharedState = new AtomicState(this.#shared);
  /** Null when there is but one worker. */
  readonly #rows: { readonly buffer: SharedArrayBuffer; readonly view: AtomicRows } | null;
  readonly #connections: Int32Array;
  readonly #stdout: Outlet;
  readonly #stderr: Outlet;
  #nextId = 0;
  #stopping = false;
  /** Listeners were drained by hand: a worker that comes later must not open them again. */
  readonly #drained: ToWorker[] = [];
  /** Workers that died and were replaced. */
  deaths = 0;

  constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#rows = options.concurrency > 1 ? sharedRows(options.concurrency) : null;
    const outlet = (to: NodeJS.WriteStream, name: string) => new Outlet(to, (error) => options.log.error({ reason: error.message }, `standard ${name} cannot be written; access logs there are lost`));
    this.#stdout = outlet(process.stdout, 'output');
    this.#stderr = outlet(process.stderr, 'error');
    this.#connections = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT * options.concurrency));
  }

  /** Starts the workers with the current state; resolves with what they refused of it. */
  async start(): Promise<WorkerRefusal[]> {
    for (let index = 0; index < this.#options.concurrency; index++) this.#slots.push(this.#spawn(index));
    const refusals = await withDeadline(Promise.all(this.#slots.map((slot) => slot.ready)), readyDeadlineMs, 'starting the workers');
    return unique(refusals.flat());
  }

  /** Gives every worker an update; resolves when all serve it, with what any of them refused. */
  async apply(update: ResourceUpdate): Promise<WorkerRefusal[]> {
    const answers = await Promise.all(this.#slots.map((slot) => this.#ask(slot, { kind: 'apply', id: this.#id(), update }, 0)));
    return unique(answers.flatMap((answer) => (answer?.kind === 'applied' ? answer.refusals : [])));
  }

  /** Brings the merged statistics up to date. */
  async refreshStats(): Promise<void> {
    await Promise.all(this.#slots.map(async (slot) => {
      const answer = await this.#ask(slot, { kind: 'stats', id: this.#id() }, answerDeadlineMs);
      if (answer?.kind !== 'stats') return;
      slot.metrics.merge(answer.metrics);
      slot.flat.merge(answer.flat);
    }));
  }

  /** Listeners as bound, and hosts with their counts summed over the workers. */
  async describe(): Promise<WorkerDescription> {
    const answers = await Promise.all(this.#slots.map((slot) => this.#ask(slot, { kind: 'describe', id: this.#id() }, answerDeadlineMs)));
    const descriptions = answers.flatMap((answer) => (answer?.kind === 'described' ? [answer.description] : []));
    return { listeners: mergeListeners(descriptions), hosts: mergeHosts(descriptions) };
  }

  tell(message: ToWorker): void {
    if (message.kind === 'drain-listeners') this.#drained.push(message);
    for (const slot of this.#slots) slot.worker.postMessage(message);
  }

  /** What the workers' health_check filters say from now on. */
  failHealthChecks(failed: boolean): void {
    this.#sharedState.healthFailed = failed;
  }

  /** Stops accepting and lets requests finish, at most until the deadline. */
  async drain(drain: ProgramDrain): Promise<void> {
    this.#stopping = true;
    this.failHealthChecks(true);
    const drained = this.#slots.filter((slot) => !slot.ended).map((slot) => new Promise<void>((resolve) => {
      slot.worker.on('message', (message: FromWorker) => { if (message.kind === 'drained') resolve(); });
      slot.worker.once('exit', () => resolve());
    }));
    this.tell({ kind: 'drain', drain });
    await withDeadline(Promise.all(drained), drain.deadlineMs + 1000, 'draining the workers').catch(() => undefined);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const slot of this.#slots) slot.watchdog?.stop();
    await Promise.all(this.#slots.map((slot) => slot.worker.terminate()));
  }

  #id(): number {
    this.#nextId += 1;
    return this.#nextId;
  }

  #spawn(index: number): Slot {
    const options = this.#options;
    const limits = options.watchdog ?? defaultWatchdog;
    const beats = new Int32Array(new SharedArrayBuffer(4));
    const setup: WorkerSetup = { beats, beatEveryMs: beatIntervalMs(limits), index, concurrency: options.concurrency, node: options.node, drainTimeMs: options.drainTimeMs, drainStrategy: options.drainStrategy, fileFlushMs: options.fileFlushMs, shared: this.#shared, rows: this.#rows?.buffer ?? null, overload: options.overload ?? null, connections: this.#connections, state: options.state() };
    // Read when a thread's heap is made; a limit of the worker's own would lose against the flag that the process started with.
    setFlagsFromString(`--max-semi-space-size=${semiSpaceMb}`);
    const worker = new Worker(options.script, { workerData: setup, name: `worker-${index}`, stdout: true, stderr: true });
    this.#stdout.take(worker.stdout);
    this.#stderr.take(worker.stderr);
    let markReady: Slot['markReady'] = () => {};
    const ready = new Promise<readonly WorkerRefusal[]>((resolve) => { markReady = resolve; });
    const slot: Slot = { index, startedMs: performance.now(), watchdog: null, worker, metrics: options.metrics.merger(), flat: options.flat.merger(), ready, markReady, waiting: new Map(), ended: false };
    void ready.then(() => {
      if (slot.ended) return;
      for (const message of this.#drained) worker.postMessage(message);
      slot.watchdog = this.#watch(slot, beats, limits);
    });
    worker.on('message', (message: FromWorker) => this.#heard(slot, message));
    worker.on('error', (error: unknown) => options.log.error({ err: error, worker: index }, 'worker failed'));
    worker.once('exit', (code) => this.#exited(slot, code));
    return slot;
  }

  /** Looked at from when it serves: compiling a large first config may take a while. */
  #watch(slot: Slot, beats: Int32Array<SharedArrayBuffer>, limits: WatchdogLimits): Watchdog {
    const { log, flat } = this.#options;
    return new Watchdog(slot.index, beats, {
      limits, stats: flat, events: {
        onMegaMiss: (silentMs) => log.warn({ worker: slot.index, silentMs: Math.round(silentMs) }, 'worker does nothing any more'),
        onKill: (silentMs) => {
          log.error({ worker: slot.index, silentMs: Math.round(silentMs) }, 'worker hangs; it is ended');
          void slot.worker.terminate();
        },
      },
    });
  }

  #heard(slot: Slot, message: FromWorker): void {
    switch (message.kind) {
      case 'ready':
        return slot.markReady(message.refusals);
      case 'applied':
      case 'stats':
      case 'described': {
        slot.waiting.get(message.id)?.(message);
        slot.waiting.delete(message.id);
        return;
      }
      case 'reports':
        return this.#options.onReports(message.sink, message.entries);
      case 'log':
        return this.#options.log[message.level]({ worker: slot.index, ...message.fields }, message.message);
      case 'drained':
        return;
    }
  }

  #exited(slot: Slot, code: number): void {
    slot.watchdog?.stop();
    Atomics.store(this.#connections, slot.index, 0);
    this.#rows?.view.forget(slot.index);
    slot.metrics.retire();
    slot.flat.retire();
    for (const answer of slot.waiting.values()) answer({ kind: 'applied', id: 0, refusals: [] });
    slot.waiting.clear();
    slot.ended = true;
    slot.markReady([]);
    if (this.#stopping) return;
    this.deaths += 1;
    this.#options.log.error({ worker: slot.index, code }, 'worker ended; a new one takes its place');
    setTimeout(() => { if (!this.#stopping) this.#slots[slot.index] = this.#spawn(slot.index); }, performance.now() - slot.startedMs > provenMs ? 0 : restartDelayMs).unref();
  }

  /** The answer, or undefined when it did not come in time (0 = no limit) or the worker ended. */
  async #ask(slot: Slot, message: ToWorker & { readonly id: number }, deadlineMs: number): Promise<FromWorker | undefined> {
    await slot.ready;
    if (slot.ended) return undefined;
    const answer = new Promise<FromWorker>((resolve) => slot.waiting.set(message.id, resolve));
    slot.worker.postMessage(message);
    if (deadlineMs === 0) return answer;
    return withDeadline(answer, deadlineMs, `worker ${slot.index}`).catch(() => {
      slot.waiting.delete(message.id);
      return undefined;
    });
  }
}

function sharedRows(workers: number): { readonly buffer: SharedArrayBuffer; readonly view: AtomicRows } {
  const buffer = sharedRowsBuffer(workers);
  return { buffer, view: new AtomicRows(buffer, { workers, worker: workers, offsetMs: 0 }) };
}

function unique(refusals: readonly WorkerRefusal[]): WorkerRefusal[] {
  return [...new Map(refusals.map((refusal) => [`${refusal.kind}/${refusal.name}`, refusal])).values()];
}

function mergeListeners(descriptions: readonly WorkerDescription[]): BoundListener[] {
  return [...new Map(descriptions.flatMap((each) => each.listeners).map((listener) => [`${listener.name}/${listener.address}:${listener.port}`, listener])).values()];
}

function mergeHosts(descriptions: readonly WorkerDescription[]): HostDescription[] {
  const merged = new Map<string, HostDescription>();
  for (const host of descriptions.flatMap((each) => each.hosts)) {
    const key = `${host.cluster} ${host.address}:${host.port}`;
    const known = merged.get(key);
    merged.set(key, known ? { ...known, activeRequests: known.activeRequests + host.activeRequests, activeConnections: known.activeConnections + host.activeConnections, requests: known.requests + host.requests, flags: healthFlags.filter((flag) => known.flags.includes(flag) || host.flags.includes(flag)) } : host);
  }
  return [...merged.values()];
}

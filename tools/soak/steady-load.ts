import { processUsage } from '../bench/machine.ts';

/** Requests at a steady rate, whatever the answers take: a slow server gets no mercy. */
export interface SteadyLoad {
  /** Ends it and waits for what is under way. */
  stop(): Promise<LoadReport>;
}

export interface LoadReport {
  readonly requests: number;
  /** What failed: status or error, and how often. */
  readonly failures: ReadonlyMap<string, number>;
}

/** More than that under way means the server stands still. */
const maxUnderWay = 500;

/** Starts GETs of `url`, `perSecond` of them. Anything but 200 within ten seconds is a failure. */
export function steadyLoad(url: string, perSecond: number): SteadyLoad {
  const failures = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  const started = performance.now();
  let requests = 0;
  const failed = (reason: string) => failures.set(reason, (failures.get(reason) ?? 0) + 1);
  const send = () => {
    requests++;
    if (underWay.size >= maxUnderWay) {
      failed(`not sent: ${maxUnderWay} requests unanswered`);
      return;
    }
    const request: Promise<void> = get(url).then((reason) => {
      underWay.delete(request);
      if (reason !== undefined) failed(reason);
    });
    underWay.add(request);
  };
  const timer = setInterval(() => {
    while (requests < ((performance.now() - started) / 1000) * perSecond) send();
  }, 10);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      return { requests, failures };
    },
  };
}

/** Why it failed, or undefined. */
async function get(url: string): Promise<string | undefined> {
  try {
    const reply = await fetch(url, { signal: AbortSignal.timeout(10_000) });
    await reply.arrayBuffer();
    return reply.status === 200 ? undefined : `status ${reply.status}`;
  } catch (cause) {
    const inner = cause instanceof Error && cause.cause instanceof Error ? `: ${cause.cause.message}` : '';
    return `${cause instanceof Error ? cause.message : String(cause)}${inner}`;
  }
}

/** A process whose memory is watched. */
export interface Watched {
  readonly name: string;
  readonly pid: number;
}

export interface Growth {
  readonly name: string;
  /** Medians of the first and the last third of the samples. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
}

/** Collects resident memory, sample by sample. */
export class MemoryWatch {
  readonly #samples = new Map<string, number[]>();

  /** Adds one sample of each process; one that has ended is left out. */
  sample(processes: readonly Watched[]): void {
    for (const { name, pid } of processes) {
      try {
        this.add(name, processUsage(pid).rssBytes);
      } catch {
        // It ended; the soak says so where it watches for ends.
      }
    }
  }

  add(name: string, rssBytes: number): void {
    const samples = this.#samples.get(name) ?? [];
    this.#samples.set(name, samples);
    samples.push(rssBytes);
  }

  /** Growth of every process with at least three samples. Medians, so that one garbage collection more or less does not count. */
  growth(): Growth[] {
    return [...this.#samples].filter(([, samples]) => samples.length >= 3).map(([name, samples]) => {
      const third = Math.floor(samples.length / 3);
      return { name, beforeBytes: median(samples.slice(0, third)), afterBytes: median(samples.slice(-third)) };
    });
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

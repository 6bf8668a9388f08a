import { readFileSync } from 'node:fs';

/** A process whose memory is watched. */
export interface WatchedProcess {
  readonly name: string;
  readonly pid: number;
}

export interface MemoryGrowth {
  readonly name: string;
  /** Medians of the first and the last third of the samples. */
  readonly beforeBytes: number;
  readonly afterBytes: number;
}

/** Collects resident memory, sample by sample. */
export class MemoryWatch {
  readonly #samples = new Map<string, number[]>();

  /** Adds one sample of each process; one that has ended is left out. */
  sample(processes: readonly WatchedProcess[]): void {
    for (const { name, pid } of processes) {
      const bytes = residentBytes(pid);
      if (bytes !== undefined) this.add(name, bytes);
    }
  }

  add(name: string, residentBytes: number): void {
    const samples = this.#samples.get(name) ?? [];
    this.#samples.set(name, samples);
    samples.push(residentBytes);
  }

  /** Growth of every process with at least three samples. Medians, so that one garbage collection more or less does not count. */
  growth(): MemoryGrowth[] {
    return [...this.#samples].filter(([, samples]) => samples.length >= 3).map(([name, samples]) => {
      const third = Math.floor(samples.length / 3);
      return { name, beforeBytes: median(samples.slice(0, third)), afterBytes: median(samples.slice(-third)) };
    });
  }
}

/** VmRSS of /proc; undefined when there is no such process. */
function residentBytes(pid: number): number | undefined {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
  } catch {
    return undefined;
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

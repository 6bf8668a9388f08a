import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

/** What a number was measured on. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGb: number;
  readonly kernel: string;
  readonly node: string;
  readonly date: string;
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism(), memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release(), node: process.versions.node, date: new Date().toISOString().slice(0, 16),
  };
}

export function machineLine(facts: Machine): string {
  return `${facts.cpu}, ${facts.cores} cores, ${facts.memoryGb} GB, Linux ${facts.kernel}, Node ${facts.node}, ${facts.date} UTC`;
}

/** What one process has used so far: all of its threads, not its children. Source: proc(5). */
export interface Usage {
  readonly cpuMicros: number;
  readonly rssBytes: number;
}

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export function processUsage(pid: number): Usage {
  // Field 2 is the program's name in brackets and may hold blanks; utime and stime are fields 14 and 15.
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[11]) + Number(fields[12]);
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return { cpuMicros: (ticks * 1e6) / ticksPerSecond, rssBytes: Number(rss ?? 0) * 1024 };
}

/** CPU of all live threads, to the microsecond where processUsage knows hundredths of a second. Threads that ended are not in it. */
export function threadCpuMicros(pid: number): number {
  let nanos = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]);
  return nanos / 1000;
}

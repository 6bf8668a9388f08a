import type { Bench } from '../bench-run.ts';

/** What wrk saw. Latencies in microseconds. */
export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Socket errors, timeouts and answers other than 2xx or 3xx. */
  readonly errors: number;
}

export interface WrkOptions {
  readonly seconds: number;
  readonly connections: number;
  /** Lua file that says what to ask. */
  readonly script?: string;
}

/** Loads a URL over keep-alive connections for some seconds, from one thread. Rejects when wrk cannot. */
export async function wrk(bench: Bench, url: string, { seconds, connections, script }: WrkOptions): Promise<Load> {
  return readWrk(await bench.run(['wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...(script === undefined ? [] : ['-s', script]), url], seconds + 20));
}

/** Reads wrk's report. Throws when a number is missing. */
export function readWrk(text: string): Load {
  const number = (pattern: RegExp, absent?: number) => {
    const found = pattern.exec(text)?.[1];
    if (found === undefined && absent === undefined) throw new Error(`wrk said nothing that matches ${String(pattern)}:\n${text}`);
    return found === undefined ? (absent ?? 0) : Number(found);
  };
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text)?.slice(1).reduce((sum, part) => sum + Number(part), 0) ?? 0;
  return {
    requests: number(/(\d+) requests in/), perSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Micros: latency(text, '50%'), p99Micros: latency(text, '99%'),
    errors: socketErrors + number(/Non-2xx or 3xx responses: (\d+)/, 0),
  };
}

const microsPer: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, m: 60e6 };

function latency(text: string, percentile: string): number {
  const found = new RegExp(`${percentile}\\s+([\\d.]+)(us|ms|s|m)\\b`).exec(text);
  const unit = microsPer[found?.[2] ?? ''];
  if (!found || unit === undefined) throw new Error(`wrk gave no ${percentile} latency:\n${text}`);
  return Number(found[1]) * unit;
}

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** What wrk saw. Latencies in microseconds. */
export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
  /** Socket errors, timeouts and answers other than 2xx or 3xx. */
  readonly errors: number;
}

const run = promisify(execFile);

/** Loads a URL over keep-alive connections for some seconds, from one thread. Rejects when wrk cannot. */
export async function wrk(url: string, options: { seconds: number; connections: number; core: number | undefined }): Promise<Load> {
  const args = ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--latency', url];
  const [file, prefix] = options.core === undefined ? ['wrk', []] : ['taskset', ['-c', String(options.core), 'wrk']];
  const { stdout } = await run(file, [...prefix, ...args], { timeout: (options.seconds + 20) * 1000 });
  return readWrk(stdout);
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

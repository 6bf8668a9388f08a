import type { Bench } from '../bench-run.ts';

/** What h2load saw. */
export interface H2Load {
  readonly requests: number;
  readonly perSecond: number;
  /** Mean time of a request in milliseconds. */
  readonly meanMs: number;
  /** Failed, refused or never answered. */
  readonly errors: number;
}

export interface H2LoadOptions {
  readonly seconds: number;
  readonly connections: number;
  /** Streams at a time on each connection. */
  readonly streams: number;
  /** Posted as the body of each request. */
  readonly bodyFile?: string;
  readonly headers?: readonly string[];
}

/** HTTP/2 by prior knowledge, from one thread. */
export async function h2load(bench: Bench, url: string, options: H2LoadOptions): Promise<H2Load> {
  const body = options.bodyFile === undefined ? [] : ['-d', options.bodyFile];
  const headers = (options.headers ?? []).flatMap((header) => ['-H', header]);
  return readH2load(await bench.run(['h2load', '-t1', `-c${options.connections}`, `-m${options.streams}`, `-D${options.seconds}`, ...body, ...headers, url], options.seconds + 20));
}

/** Reads h2load's report. Throws when a number is missing. */
export function readH2load(text: string): H2Load {
  const found = (pattern: RegExp): RegExpExecArray => {
    const match = pattern.exec(text);
    if (!match) throw new Error(`h2load said nothing that matches ${String(pattern)}:\n${text.slice(-2000)}`);
    return match;
  };
  const [, done, failed, errored, timeouts] = found(/requests: \d+ total, \d+ started, (\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout/).map(Number);
  const [, good] = found(/status codes: (\d+) 2xx/).map(Number);
  const mean = found(/time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)/);
  return {
    requests: done ?? 0, perSecond: Number(found(/finished in \S+, ([\d.]+) req\/s/)[1]),
    meanMs: (Number(mean[1]) * ({ us: 1, ms: 1e3, s: 1e6 }[mean[2] ?? ''] ?? Number.NaN)) / 1e3,
    errors: (failed ?? 0) + (errored ?? 0) + (timeouts ?? 0) + Math.max(0, (done ?? 0) - (good ?? 0)),
  };
}

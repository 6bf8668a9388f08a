import { http1Backend } from '../backends.ts';
import type { Bench } from '../bench-run.ts';
import type { BenchCase, Comparison, Sample, Started } from '../case.ts';
import type { OpenLoop, OpenLoopReport } from '../loads/open-loop.ts';
import { checkWithCurl, through, wrkLoad, type LoadFunction } from '../through.ts';

const [connections, perSecond] = [16, 1000];
const peers = ['meltemi', 'nginx', 'haproxy'] as const;
const quantiles = ['p50', 'p90', 'p99'] as const;

/** What a sidecar pair adds to a call (issue 3 §5.2). */
export const latency: BenchCase = {
  name: 'latency',
  about: `open-loop load on a sidecar pair over mTLS: ${connections} connections, ${perSecond} requests a second, 1 KB; latency from the time a request was due, beside the direct call`,
  metrics: [...quantiles.map((name) => ({ name, title: `${name} ms`, digits: 2 })), { name: 'cpu', title: 'CPU µs/request', digits: 1 }],
  comparisons: peers.flatMap((of) => quantiles.map((metric): Comparison => ({ kind: 'difference', metric, of, to: 'direct', title: `${metric} ms that ${of} adds`, digits: 2 }))),
  async open(bench) {
    const backendPort = await http1Backend(bench);
    const load = openLoopLoad(connections, perSecond);
    return [
      { name: 'direct', start: async (of: Bench): Promise<Started> => ({ turn: async (seconds): Promise<Sample> => (await load(of, { port: backendPort }, seconds)).sample }) },
      ...peers.map((peer) => through(peer, { shape: { protocol: 'http1', backendPort }, pair: true, load, warmUp: { load: wrkLoad({ connections }), seconds: 6 }, check: checkWithCurl('/', 1024) })),
    ];
  },
};

/** Requests at a fixed rate; latencies in milliseconds. */
export function openLoopLoad(over: number, rate: number): LoadFunction {
  return async (bench, { port }, seconds) => {
    const seen = await bench.runProgram<OpenLoopReport>('open-loop', { port, connections: over, perSecond: rate, seconds } satisfies OpenLoop, seconds + 20);
    return { requests: seen.requests, errors: seen.errors + seen.unanswered, sample: { p50: seen.p50, p90: seen.p90, p99: seen.p99 } };
  };
}

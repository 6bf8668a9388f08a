import { http1Backend } from '../backends.ts';
import type { BenchCase } from '../case.ts';
import { wrk } from '../loads/wrk.ts';
import { checkWithCurl, through, type LoadFunction } from '../through.ts';
import { openLoopLoad } from './latency.ts';

const peers = ['meltemi', 'nginx', 'haproxy'] as const;

/** Latency where nobody is saturated. */
export const halfLoad: BenchCase = {
  name: 'half-load',
  about: "open-loop load at half the throughput of the slowest peer (found by the first turn), HTTP/1.1, 1 KB; latency from the time a request was due",
  metrics: [{ name: 'rate', title: 'asked/s', digits: 0 }, { name: 'p50', title: 'p50 ms', digits: 2 }, { name: 'p90', title: 'p90 ms', digits: 2 }, { name: 'p99', title: 'p99 ms', digits: 2 }, { name: 'cpu', title: 'CPU µs/request', digits: 1 }],
  comparisons: [
    { kind: 'ratio', metric: 'p99', of: 'meltemi', to: 'nginx', title: 'p99 at half load, meltemi / nginx', goal: 1.5 },
    { kind: 'ratio', metric: 'p99', of: 'meltemi', to: 'haproxy', title: 'p99 at half load, meltemi / haproxy' },
  ],
  async open(bench) {
    const backendPort = await http1Backend(bench);
    const { connections } = bench.options;
    // Every peer's first turn, which is thrown away, finds its throughput; all have had theirs before the first that counts.
    const throughput = new Map<number, number>();
    const load: LoadFunction = async (of, { port }, seconds) => {
      if (!throughput.has(port)) {
        const seen = await wrk(of, `http://127.0.0.1:${port}/`, { seconds, connections });
        throughput.set(port, seen.perSecond);
        return { requests: seen.requests, errors: seen.errors, sample: {} };
      }
      const rate = Math.round(Math.min(...throughput.values()) / 2);
      const result = await openLoopLoad(connections, rate)(of, { port }, seconds);
      return { ...result, sample: { ...result.sample, rate } };
    };
    return peers.map((peer) => through(peer, { shape: { protocol: 'http1', backendPort }, load, check: checkWithCurl('/', 1024) }));
  },
};

import { http1Backend } from '../backends.ts';
import { cpuRatios, type BenchCase, type Metric } from '../case.ts';
import { checkWithCurl, through, wrkLoad } from '../through.ts';


const metrics: readonly Metric[] = [
  { name: 'cpu', title: 'CPU µs/request', digits: 1 },
  { name: 'mbPerSecond', title: 'MB/s', digits: 0 },
  { name: 'p50', title: 'p50 ms', digits: 2 },
  { name: 'p99', title: 'p99 ms', digits: 2 },
  { name: 'rss', title: 'RSS MB', digits: 0 },
];

function body(size: '64k' | '1m', bytes: number): BenchCase {
  return {
    name: `body-${size}`,
    about: `HTTP/1.1 without TLS, answers of ${bytes / 1024} KB, 16 connections`,
    metrics,
    comparisons: cpuRatios({ nginx: [1.25, 1.5], haproxy: [1.25, 1.5] }),
    async open(bench) {
      const shape = { protocol: 'http1', backendPort: await http1Backend(bench) } as const;
      const load = wrkLoad({ connections: 16 }, `/files/${size}`, 'http', bytes);
      return (['meltemi', 'nginx', 'haproxy'] as const).map((peer) => through(peer, { shape, load, check: checkWithCurl(`/files/${size}`, bytes) }));
    },
  };
}

/** Answers of 64 KB. */
export const body64k = body('64k', 2 ** 16);
/** Answers of 1 MB. */
export const body1m = body('1m', 2 ** 20);

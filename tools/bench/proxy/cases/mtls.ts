import { http1Backend } from '../backends.ts';
import { cpuRatios, requestMetrics, type BenchCase } from '../case.ts';
import { checkWithCurl, through, wrkLoad } from '../through.ts';

/** A call between two sidecars. */
export const mtls: BenchCase = {
  name: 'mtls',
  about: 'a sidecar pair: plain in, mTLS between the two, plain out, 1 KB answers; CPU and memory of both together',
  metrics: requestMetrics,
  comparisons: cpuRatios({ nginx: [1.1, 1.3], haproxy: [1.1, 1.3] }, 'CPU per request of the pair'),
  async open(bench) {
    const shape = { protocol: 'http1', backendPort: await http1Backend(bench) } as const;
    const load = wrkLoad({ connections: bench.options.connections });
    return (['meltemi', 'nginx', 'haproxy'] as const).map((peer) => through(peer, { shape, pair: true, load, check: checkWithCurl('/', 1024) }));
  },
};

import { http1Backend } from '../backends.ts';
import { cpuRatios, requestMetrics, type BenchCase } from '../case.ts';
import { peerNames } from '../peers/shape.ts';
import { checkWithCurl, through, wrkLoad } from '../through.ts';

/** HTTP/1.1, 1 KB. */
export const plain: BenchCase = {
  name: 'plain',
  about: 'HTTP/1.1 without TLS, 1 KB answers',
  metrics: requestMetrics,
  comparisons: cpuRatios({ nginx: [1.25, 1.5], haproxy: [1.25, 1.5], 'http-proxy': [0.4] }),
  async open(bench) {
    const backendPort = await http1Backend(bench);
    const load = wrkLoad({ connections: bench.options.connections });
    return peerNames.map((peer) => through(peer, { shape: { protocol: 'http1', backendPort }, load, check: checkWithCurl('/', 1024) }));
  },
};

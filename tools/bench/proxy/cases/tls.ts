import { http1Backend } from '../backends.ts';
import { cpuRatios, requestMetrics, type BenchCase } from '../case.ts';
import { checkWithCurl, through, wrkLoad } from '../through.ts';

/** TLS from the client, plain to the backend. */
export const tls: BenchCase = {
  name: 'tls',
  about: 'TLS 1.3 in (P-256), plain out, 1 KB answers',
  metrics: requestMetrics,
  comparisons: cpuRatios({ nginx: [1.1, 1.3], haproxy: [1.1, 1.3] }),
  async open(bench) {
    const shape = { protocol: 'http1', backendPort: await http1Backend(bench), tlsIn: { leaf: bench.certificates.server } } as const;
    const load = wrkLoad({ connections: bench.options.connections }, '/', 'https');
    return (['meltemi', 'nginx', 'haproxy'] as const).map((peer) => through(peer, { shape, load, check: checkWithCurl('/', 1024, () => ['--tlsv1.3'], 'https') }));
  },
};

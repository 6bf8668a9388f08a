import { http1Backend } from '../backends.ts';
import { requestMetrics, type BenchCase } from '../case.ts';
import { checkWithCurl, through, wrkLoad } from '../through.ts';

/** What further worker threads cost. They share the proxies' core, so that the load keeps its own. */
export const workers: BenchCase = {
  name: 'workers',
  about: 'our proxy with one, two and three workers, HTTP/1.1, 1 KB; all workers on the one core of the proxies',
  metrics: requestMetrics,
  comparisons: [
    { kind: 'ratio', metric: 'cpu', of: 'meltemi 2 workers', to: 'meltemi 1 worker', title: 'CPU per request, two workers / one', goal: 1.15 },
    { kind: 'difference', metric: 'rss', of: 'meltemi 3 workers', to: 'meltemi 1 worker', per: 2, title: 'RSS MB per further worker', digits: 1, goal: 15 },
  ],
  async open(bench) {
    const backendPort = await http1Backend(bench);
    const load = wrkLoad({ connections: bench.options.connections });
    return [1, 2, 3].map((count) => through('meltemi', { name: `meltemi ${count} worker${count === 1 ? '' : 's'}`, shape: { protocol: 'http1', backendPort, workers: count }, load, check: checkWithCurl('/', 1024) }));
  },
};

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { http1Backend } from '../backends.ts';
import type { Bench } from '../bench-run.ts';
import { cpuRatios, requestMetrics, type BenchCase } from '../case.ts';
import { routesOf } from '../peers/shape.ts';
import { checkWithCurl, through, wrkLoad } from '../through.ts';

/** Requests spread over a table of 100 routes. */
export const routes100 = routes(100);
/** Requests spread over a table of 1,000 routes. */
export const routes1000 = routes(1000);

const peers = ['meltemi', 'nginx', 'haproxy'] as const;

function routes(count: number): BenchCase {
  return {
    name: `routes-${count}`,
    about: `a table of ${count} routes, ten path prefixes to a host, requests spread over all of them; HTTP/1.1, 1 KB`,
    metrics: requestMetrics,
    comparisons: cpuRatios({ nginx: [1.25, 1.5], haproxy: [1.25, 1.5] }),
    async open(bench) {
      const shape = { protocol: 'http1', backendPort: await http1Backend(bench), routes: count } as const;
      const load = wrkLoad({ connections: bench.options.connections, script: spreadScript(bench, count) });
      const last = routesOf(count).at(-1);
      return peers.map((peer) => through(peer, { shape, load, check: checkWithCurl(`${last?.prefix}x`, 1024, () => ['-H', `Host: ${last?.host}`]) }));
    },
  };
}

/** What a further route costs in memory: the same load on both tables, in processes that served nothing else. */
export const routeMemory: BenchCase = {
  name: 'route-memory',
  about: 'RSS after load with 100 and with 1,000 routes, each in a process of its own',
  metrics: [{ name: 'rss', title: 'RSS MB', digits: 1 }],
  comparisons: peers.map((peer) => ({ kind: 'difference', metric: 'rss', of: `${peer} 1000`, to: `${peer} 100`, per: 900 / 1024, title: `KB per further route, ${peer}`, digits: 1, ...(peer === 'meltemi' ? { goal: 30 } : {}) })),
  fresh: true,
  async open(bench) {
    const backendPort = await http1Backend(bench);
    return peers.flatMap((peer) => [100, 1000].map((count) => {
      const load = wrkLoad({ connections: bench.options.connections, script: spreadScript(bench, count) });
      return through(peer, { name: `${peer} ${count}`, shape: { protocol: 'http1', backendPort, routes: count }, load });
    }));
  },
};

/** A script for wrk that asks for one route after the other, in a mixed order; the requests are built once. */
export function spreadScript({ dir }: Bench, count: number): string {
  const file = join(dir, `routes-${count}.lua`);
  const lines = routesOf(count).map(({ host, prefix }) => `{"${prefix}item", "${host}"}`);
  writeFileSync(file, `local routes = {${lines.join(',\n')}}
local requests, at = {}, 0
init = function() for i, r in ipairs(routes) do requests[i] = wrk.format("GET", r[1], {Host = r[2]}) end end
request = function() at = at + 37; return requests[at % #requests + 1] end
`);
  return file;
}

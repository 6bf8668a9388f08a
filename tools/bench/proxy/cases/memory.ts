import { http1Backend } from '../backends.ts';
import { processUsage } from '../../machine.ts';
import type { BenchCase, Contestant } from '../case.ts';
import { through, wrkLoad } from '../through.ts';
import { spreadScript } from './routes.ts';

/** Memory of one worker after load, beside what Node alone takes. */
export const memory: BenchCase = {
  name: 'memory',
  about: 'RSS after load with one worker and 100 routes, in processes that served nothing else; beside a Node that does nothing, alone and with one idle thread',
  metrics: [{ name: 'rss', title: 'RSS MB', digits: 1 }],
  comparisons: [
    { kind: 'value', metric: 'rss', of: 'meltemi', title: 'RSS MB, meltemi', digits: 1, goal: 110 },
    { kind: 'difference', metric: 'rss', of: 'meltemi', to: 'node and a thread', title: 'RSS MB above Node with one idle thread', digits: 1 },
  ],
  fresh: true,
  async open(bench) {
    const shape = { protocol: 'http1', backendPort: await http1Backend(bench), routes: 100 } as const;
    const load = wrkLoad({ connections: bench.options.connections, script: spreadScript(bench, 100) });
    return [
      ...(['meltemi', 'nginx', 'haproxy'] as const).map((peer) => through(peer, { shape, load })),
      idleNode('node', 'setInterval(() => {}, 1e6)'),
      idleNode('node and a thread', "new (require('node:worker_threads').Worker)('setInterval(() => {}, 1e6)', { eval: true })"),
    ];
  },
};

/** A Node that runs nothing but this. */
function idleNode(name: string, script: string): Contestant {
  return {
    name,
    async start(bench) {
      const child = bench.spawn({ name: bench.unique('node'), command: [process.execPath, '-e', script], core: bench.options.cores.proxy });
      return {
        async turn(seconds) {
          await new Promise((resolve) => setTimeout(resolve, Math.min(seconds, 1) * 1000));
          if (!child.running) throw new Error(`${name} ended:\n${child.log()}`);
          return { rss: processUsage(child.pid).rssBytes / 2 ** 20 };
        },
      };
    },
  };
}

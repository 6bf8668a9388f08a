import { waitFor } from '@meltemi/base';
import { http1Backend } from '../backends.ts';
import { programOf, usageOf } from '../bench-run.ts';
import type { BenchCase, Contestant } from '../case.ts';
import type { IdleLoad } from '../loads/idle.ts';
import { wrk } from '../loads/wrk.ts';
import { startPeer } from '../peers/start.ts';
import type { PeerName } from '../peers/shape.ts';

const connections = 9000;
const peers = ['meltemi', 'nginx', 'haproxy'] as const;

/** What a connection that waits costs. */
export const idle: BenchCase = {
  name: 'idle',
  about: `memory per idle keep-alive connection: RSS with ${connections} of them that had one answer each, less RSS after load, in processes of their own; the kernel's part is not in it`,
  metrics: [{ name: 'bytes', title: 'bytes/connection', digits: 0 }, { name: 'before', title: 'RSS MB before', digits: 1 }, { name: 'rss', title: 'RSS MB with all', digits: 1 }],
  comparisons: ['nginx', 'haproxy'].map((to) => ({ kind: 'ratio', metric: 'bytes', of: 'meltemi', to, title: `bytes per idle connection, meltemi / ${to}` })),
  fresh: true,
  async open(bench) {
    const backendPort = await http1Backend(bench);
    return peers.map((peer) => contestant(peer, backendPort));
  },
};

function contestant(peer: PeerName, backendPort: number): Contestant {
  return {
    name: peer,
    async start(bench) {
      const running = await startPeer(bench, peer, { protocol: 'http1', backendPort });
      return {
        async turn(seconds) {
          await wrk(bench, `http://127.0.0.1:${running.port}/`, { seconds: Math.min(seconds, 2), connections: bench.options.connections });
          const before = usageOf(running.children).rssBytes;
          const clients = bench.spawn({ name: bench.unique('idle'), command: programOf('idle', { port: running.port, connections } satisfies IdleLoad), core: bench.options.cores.load });
          await waitFor(`${connections} idle connections to ${peer}`, () => !clients.running || clients.log().endsWith('idle'), { deadlineMs: 60_000, everyMs: 50 });
          if (!clients.running) throw new Error(`${peer} did not keep ${connections} connections:\n${clients.log()}`);
          const after = usageOf(running.children).rssBytes;
          await clients.stop();
          return { bytes: (after - before) / connections, before: before / 2 ** 20, rss: after / 2 ** 20 };
        },
      };
    },
  };
}

import { http1Backend } from '../backends.ts';
import type { BenchCase } from '../case.ts';
import { checkWithCurl, through, wrkLoad, type LoadFunction } from '../through.ts';

const bytes = 2 ** 20;

/** Bytes through tcp_proxy, nginx's stream module, haproxy's mode tcp. */
export const tcp: BenchCase = {
  name: 'tcp',
  about: 'TCP proxying of 1 MB answers of a web server, 8 connections; bytes from server to client',
  metrics: [{ name: 'cpu', title: 'CPU µs/MB', digits: 0 }, { name: 'perCpuSecond', title: 'MB/CPU second', digits: 0 }, { name: 'mbPerSecond', title: 'MB/s', digits: 0 }, { name: 'rss', title: 'RSS MB', digits: 0 }],
  comparisons: ['nginx', 'haproxy'].map((to) => ({ kind: 'ratio', metric: 'cpu', of: 'meltemi', to, title: `CPU per MB, meltemi / ${to}`, goal: 1.25, atMost: 1.5 })),
  needs: ['nginx-stream'],
  async open(bench) {
    const shape = { protocol: 'tcp', backendPort: await http1Backend(bench) } as const;
    const load: LoadFunction = wrkLoad({ connections: 8 }, '/files/1m', 'http', bytes);
    return (['meltemi', 'nginx', 'haproxy'] as const).map((peer) => {
      const contestant = through(peer, { shape, load, check: checkWithCurl('/files/1m', bytes) });
      return { ...contestant, start: async (of) => {
        const started = await contestant.start(of);
        return { ...started, turn: async (seconds) => {
          const sample = await started.turn(seconds);
          const cpu = ((sample['cpu'] ?? Number.NaN) * 1e6) / bytes;
          return { ...sample, cpu, perCpuSecond: 1e6 / cpu };
        } };
      } };
    });
  },
};

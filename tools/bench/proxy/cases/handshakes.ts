import { http1Backend } from '../backends.ts';
import type { BenchCase } from '../case.ts';
import { sTime } from '../loads/s-time.ts';
import { through, type LoadFunction } from '../through.ts';

/** New mTLS connections, no resumption anywhere. */
export const handshakes: BenchCase = {
  name: 'handshakes',
  about: 'new TLS 1.3 connections with client certificates (P-256, X25519), one 1 KB request each, four openssl s_time at once; tickets and session caches off',
  metrics: [{ name: 'cpu', title: 'CPU µs/connection', digits: 0 }, { name: 'perSecond', title: 'connections/s', digits: 0 }, { name: 'rss', title: 'RSS MB', digits: 0 }],
  comparisons: ['nginx', 'haproxy'].map((to) => ({ kind: 'ratio', metric: 'cpu', of: 'meltemi', to, title: `CPU per connection, meltemi / ${to}`, goal: 1.1, atMost: 1.3 })),
  needs: ['openssl'],
  async open(bench) {
    const { caFile, server, client } = bench.certificates;
    const shape = { protocol: 'http1', backendPort: await http1Backend(bench), tlsIn: { leaf: server, clientCa: caFile }, http10: true } as const;
    const load: LoadFunction = async (of, { port }, seconds) => {
      const begin = performance.now();
      const seen = await Promise.all(Array.from({ length: 4 }, () => sTime(of, { port, seconds, leaf: client, ca: caFile })));
      const requests = seen.reduce((sum, each) => sum + each.connections, 0);
      // Fewer bytes than the answer's body means that something else answered.
      return { requests, errors: seen.filter((each) => each.bytesPerConnection < 1024).length, sample: { perSecond: (requests * 1000) / (performance.now() - begin) } };
    };
    return (['meltemi', 'nginx', 'haproxy'] as const).map((peer) => through(peer, { shape, load }));
  },
};

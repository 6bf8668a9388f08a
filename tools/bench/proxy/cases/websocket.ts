import { websocketBackend } from '../backends.ts';
import { cpuRatios, type BenchCase } from '../case.ts';
import type { WebSocketLoad, WebSocketReport } from '../loads/websocket.ts';
import { through, type LoadFunction } from '../through.ts';

const connections = 64;
const messageBytes = 64;

/** Echo through upgraded connections. */
export const websocket: BenchCase = {
  name: 'websocket',
  about: `WebSocket echo of ${messageBytes}-byte messages, ${connections} connections with one message under way each; a message counts once for both ways`,
  metrics: [{ name: 'cpu', title: 'CPU µs/message', digits: 1 }, { name: 'perSecond', title: 'messages/s', digits: 0 }, { name: 'rss', title: 'RSS MB', digits: 0 }],
  comparisons: cpuRatios({ nginx: [1.25, 1.5], haproxy: [1.25, 1.5] }, 'CPU per message'),
  async open(bench) {
    const shape = { protocol: 'http1', backendPort: await websocketBackend(bench), upgrade: true } as const;
    return (['meltemi', 'nginx', 'haproxy'] as const).map((peer) => through(peer, { shape, load, counted: false }));
  },
};

const load: LoadFunction = async (bench, { port }, seconds) => {
  const seen = await bench.runProgram<WebSocketReport>('websocket', { port, connections, seconds, messageBytes } satisfies WebSocketLoad, seconds + 20);
  return { requests: seen.messages, errors: seen.errors, sample: { perSecond: seen.perSecond } };
};

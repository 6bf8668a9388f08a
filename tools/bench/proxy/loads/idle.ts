// Opens keep-alive connections, sends one request on each, says "idle" when all were answered, and holds them until it is
// stopped, two minutes at most. Argument: JSON of IdleLoad.
import { connect } from 'node:net';

export interface IdleLoad {
  readonly port: number;
  readonly connections: number;
}

const { port, connections } = JSON.parse(process.argv[2] ?? '{}') as IdleLoad;
/** Few at a time, so that the backend sees few connections. */
const atATime = 32;
let opened = 0;
await Promise.all(Array.from({ length: atATime }, async () => {
  while (opened < connections) {
    opened++;
    await one();
  }
}));
process.stdout.write('idle\n');
process.on('SIGTERM', () => process.exit(0));
setTimeout(() => process.exit(1), 120_000);

function one(): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the peer closed an idle connection')));
    socket.write('GET / HTTP/1.1\r\nHost: bench\r\n\r\n');
    let bytes = 0;
    socket.on('data', (chunk: Buffer) => {
      if (bytes === 0 && !chunk.toString('latin1', 0, 12).startsWith('HTTP/1.1 200')) reject(new Error(`not answered: ${chunk.toString('latin1', 0, 100)}`));
      bytes += chunk.length;
      if (bytes > 1024) resolve();
    });
  });
}

// WebSocket load on raw sockets: each connection sends the next message when the last one came back. Argument: JSON of WebSocketLoad. Writes WebSocketReport.
import { connect, type Socket } from 'node:net';
import { performance } from 'node:perf_hooks';

export interface WebSocketLoad {
  readonly port: number;
  readonly connections: number;
  readonly seconds: number;
  /** At most 125. */
  readonly messageBytes: number;
}

export interface WebSocketReport {
  readonly messages: number;
  readonly errors: number;
  readonly perSecond: number;
}

const load = JSON.parse(process.argv[2] ?? '{}') as WebSocketLoad;
const payload = Buffer.alloc(load.messageBytes, 'm');
const mask = Buffer.from([1, 2, 3, 4]);
const frame = Buffer.concat([Buffer.from([0x81, 0x80 | payload.length]), mask, payload.map((byte, index) => byte ^ (mask[index & 3] ?? 0))]);
const expected = Buffer.concat([Buffer.from([0x81, payload.length]), payload]);
let messages = 0;
let errors = 0;
let over = false;

const sockets = await Promise.all(Array.from({ length: load.connections }, () => upgraded()));
const begin = performance.now();
for (const socket of sockets) ping(socket);
await new Promise((resolve) => setTimeout(resolve, load.seconds * 1000));
const elapsed = performance.now() - begin;
over = true;
for (const socket of sockets) socket.destroy();
process.stdout.write(JSON.stringify({ messages, errors, perSecond: (messages * 1000) / elapsed } satisfies WebSocketReport));

function ping(socket: Socket): void {
  let got: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    got = got.length === 0 ? chunk : Buffer.concat([got, chunk]);
    if (got.length < expected.length) return;
    if (!got.equals(expected)) errors++;
    got = Buffer.alloc(0);
    if (over) return;
    messages++;
    socket.write(frame);
  });
  socket.write(frame);
}

function upgraded(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: load.port, host: '127.0.0.1', noDelay: true });
    socket.on('error', reject);
    socket.on('close', () => { if (!over) errors++; });
    socket.write('GET /echo HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n');
    socket.once('data', (head: Buffer) => {
      if (head.toString('latin1', 0, 12) === 'HTTP/1.1 101' && head.toString('latin1').endsWith('\r\n\r\n')) resolve(socket);
      else reject(new Error(`no upgrade: ${head.toString('latin1', 0, 200)}`));
    });
  });
}

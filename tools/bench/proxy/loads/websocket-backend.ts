// A WebSocket echo server on raw sockets: accepts the upgrade, then sends each small text message back. Argument: JSON {port}.
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';

const { port } = JSON.parse(process.argv[2] ?? '{}') as { readonly port: number };
const server = createServer({ noDelay: true }, (socket) => {
  let rest: Buffer = Buffer.alloc(0);
  let upgraded = false;
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    if (!upgraded) {
      const end = rest.indexOf('\r\n\r\n');
      if (end < 0) return;
      const key = /\r\nsec-websocket-key: *(\S+)/i.exec(rest.toString('latin1', 0, end))?.[1] ?? '';
      const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`);
      upgraded = true;
      rest = rest.subarray(end + 4);
    }
    const answers: Buffer[] = [];
    // Client frames of at most 125 bytes: two bytes, four of mask, payload.
    for (let length = frameLength(rest); length > 0 && rest.length >= length; length = frameLength(rest)) {
      answers.push(echo(rest.subarray(0, length)));
      rest = rest.subarray(length);
    }
    if (answers.length > 0) socket.write(answers.length === 1 ? (answers[0] ?? '') : Buffer.concat(answers));
  });
});
server.listen(port, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));

function frameLength(bytes: Buffer): number {
  return bytes.length < 2 ? 0 : 6 + ((bytes[1] ?? 0) & 0x7f);
}

function echo(frame: Buffer): Buffer {
  const answer = Buffer.allocUnsafe(frame.length - 4);
  answer[0] = frame[0] ?? 0;
  answer[1] = (frame[1] ?? 0) & 0x7f;
  for (let i = 6; i < frame.length; i++) answer[i - 4] = (frame[i] ?? 0) ^ (frame[2 + ((i - 6) & 3)] ?? 0);
  return answer;
}

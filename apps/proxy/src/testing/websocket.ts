import { createHash, randomBytes } from 'node:crypto';
import net from 'node:net';
import { waitFor } from '@meltemi/base';

/** RFC 6455 as far as tests of a proxy need it: both ends, every frame as the test wants it. */
export const Opcode = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface Message {
  readonly opcode: number;
  readonly data: Buffer;
  /** Frames it came in. */
  readonly frames: number;
}

const guid = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
export const acceptKey = (key: string): string => createHash('sha1').update(key + guid).digest('base64');

/** One frame's bytes. */
export function frame(opcode: number, data: Buffer | string = '', { fin = true, masked = false }: { readonly fin?: boolean; readonly masked?: boolean } = {}): Buffer {
  const payload = typeof data === 'string' ? Buffer.from(data) : data;
  const head = Buffer.alloc(10);
  head[0] = (fin ? 0x80 : 0) | opcode;
  let size = 2;
  if (payload.length < 126) head[1] = payload.length;
  else if (payload.length < 65_536) {
    head[1] = 126;
    size = head.writeUInt16BE(payload.length, 2);
  } else {
    head[1] = 127;
    size = head.writeBigUInt64BE(BigInt(payload.length), 2);
  }
  if (!masked) return Buffer.concat([head.subarray(0, size), payload]);
  head[1] = (head[1] ?? 0) | 0x80;
  const mask = randomBytes(4);
  return Buffer.concat([head.subarray(0, size), mask, unmasked(payload, mask)]);
}

function unmasked(payload: Buffer, mask: Buffer): Buffer {
  const out = Buffer.allocUnsafe(payload.length);
  for (let i = 0; i < payload.length; i++) out[i] = (payload[i] ?? 0) ^ (mask[i & 3] ?? 0);
  return out;
}

/** One end of an open WebSocket. Breaks of the protocol by the peer close it with 1002 (masking), 1007 (text that is no UTF-8) or 1009. */
export class WebSocketEnd {
  readonly socket: net.Socket;
  readonly messages: Message[] = [];
  readonly pongs: Buffer[] = [];
  /** What the peer's close frame said. */
  closed: { readonly code: number; readonly reason: string } | null = null;
  /** The peer ended its side of the connection. */
  ended = false;
  onMessage: (message: Message) => void = () => {};
  readonly #client: boolean;
  #parts: Buffer[] = [];
  #buffered = 0;
  #message: { opcode: number; parts: Buffer[] } | null = null;
  #sentClose = false;

  /** `rest`: bytes that came behind the handshake. */
  constructor(socket: net.Socket, client: boolean, rest: Buffer) {
    this.socket = socket;
    this.#client = client;
    socket.on('data', (part: Buffer) => this.#receive(part)).on('end', () => { this.ended = true; }).on('close', () => { this.ended = true; }).on('error', () => {});
    if (rest.length > 0) this.#receive(rest);
  }

  send(opcode: number, data: Buffer | string = '', fin = true): boolean {
    return this.socket.write(frame(opcode, data, { fin, masked: this.#client }));
  }

  close(code: number, reason = ''): void {
    if (this.#sentClose) return;
    this.#sentClose = true;
    const data = Buffer.alloc(2);
    data.writeUInt16BE(code);
    this.send(Opcode.close, Buffer.concat([data, Buffer.from(reason)]));
  }

  async next(count = 1): Promise<Message> {
    await waitFor(`message ${count} of ${this.messages.length}`, () => this.messages.length >= count, { deadlineMs: 20_000, everyMs: 5 });
    return this.messages[count - 1] as Message;
  }

  #receive(part: Buffer): void {
    this.#parts.push(part);
    this.#buffered += part.length;
    while (this.#frame()) { /* the next one */ }
  }

  /** Takes one frame off what has come; false when it is not whole yet. */
  #frame(): boolean {
    const needed = this.#needed();
    if (this.#buffered < needed) return false;
    const all = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
    this.#parts = [all];
    if (this.#needed() > all.length) return false;
    const size = this.#needed();
    const masked = ((all[1] ?? 0) & 0x80) !== 0;
    const start = size - this.#length(all);
    const payload = masked ? unmasked(all.subarray(start, size), all.subarray(start - 4, start)) : Buffer.from(all.subarray(start, size));
    this.#parts = [all.subarray(size)];
    this.#buffered = all.length - size;
    if (masked === this.#client) this.close(1002, 'masking');
    else this.#take(((all[0] ?? 0) & 0x80) !== 0, (all[0] ?? 0) & 15, payload);
    return this.#buffered > 0;
  }

  #needed(): number {
    let head = this.#parts[0] ?? Buffer.alloc(0);
    if (head.length < 14 && this.#parts.length > 1) head = Buffer.concat(this.#parts);
    if (head.length < 2) return 2;
    const short = (head[1] ?? 0) & 127;
    const size = 2 + (short === 126 ? 2 : short === 127 ? 8 : 0) + (((head[1] ?? 0) & 0x80) !== 0 ? 4 : 0);
    return head.length < size ? size : size + this.#length(head);
  }

  #length(head: Buffer): number {
    const short = (head[1] ?? 0) & 127;
    return short === 126 ? head.readUInt16BE(2) : short === 127 ? Number(head.readBigUInt64BE(2)) : short;
  }

  #take(fin: boolean, opcode: number, data: Buffer): void {
    if (opcode === Opcode.ping) return void this.send(Opcode.pong, data);
    if (opcode === Opcode.pong) return void this.pongs.push(data);
    if (opcode === Opcode.close) {
      this.closed = { code: data.length >= 2 ? data.readUInt16BE(0) : 1005, reason: data.toString('utf8', 2) };
      this.close(this.closed.code === 1005 ? 1000 : this.closed.code);
      return;
    }
    if (this.#message === null) this.#message = { opcode, parts: [] };
    this.#message.parts.push(data);
    if (!fin) return;
    const message = { opcode: this.#message.opcode, data: Buffer.concat(this.#message.parts), frames: this.#message.parts.length };
    this.#message = null;
    if (message.opcode === Opcode.text && !isUtf8(message.data)) return this.close(1007, 'not UTF-8');
    this.messages.push(message);
    this.onMessage(message);
  }
}

function isUtf8(data: Buffer): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(data);
    return true;
  } catch {
    return false;
  }
}

/** The bytes that ask for a WebSocket. */
export function handshake(path: string, key = 'dGhlIHNhbXBsZSBub25jZQ=='): string {
  return `GET ${path} HTTP/1.1\r\nHost: ws\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n`;
}

/** Opens one through `port`; `early` goes out with the handshake. Fails with the answer's head when it is no 101. */
export function openWebSocket(port: number, path: string, early: Buffer = Buffer.alloc(0)): Promise<WebSocketEnd> {
  const key = randomBytes(16).toString('base64');
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  socket.write(Buffer.concat([Buffer.from(handshake(path, key)), early]));
  return new Promise((resolve, reject) => {
    let seen = Buffer.alloc(0);
    const onData = (part: Buffer) => {
      seen = Buffer.concat([seen, part]);
      const end = seen.indexOf('\r\n\r\n');
      if (end < 0) return;
      socket.off('data', onData);
      const head = seen.toString('latin1', 0, end);
      if (!head.startsWith('HTTP/1.1 101 ') || !head.includes(acceptKey(key))) reject(new Error(head));
      else resolve(new WebSocketEnd(socket, true, seen.subarray(end + 4)));
    };
    socket.on('data', onData).once('error', reject);
  });
}

/** A WebSocket server on a socket that a TCP backend accepted; `serve` gets each open end and its path, `refuse` may answer instead. */
export function acceptWebSocket(socket: net.Socket, serve: (end: WebSocketEnd, path: string) => void, refuse: (path: string, rest: Buffer) => string | null = () => null): void {
  let seen = Buffer.alloc(0);
  const onData = (part: Buffer) => {
    seen = Buffer.concat([seen, part]);
    const at = seen.indexOf('\r\n\r\n');
    if (at < 0) return;
    socket.off('data', onData);
    const head = seen.toString('latin1', 0, at);
    const path = /^GET (\S+)/.exec(head)?.[1] ?? '';
    const rest = seen.subarray(at + 4);
    const refusal = refuse(path, rest);
    if (refusal !== null) return void socket.write(refusal);
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(/sec-websocket-key: (\S+)/i.exec(head)?.[1] ?? '')}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`);
    serve(new WebSocketEnd(socket, false, rest), path);
  };
  socket.on('data', onData);
}

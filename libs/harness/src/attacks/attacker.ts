import { connect, type Socket } from 'node:net';
import { waitFor } from '@meltemi/base';

/** A response as it stands on the wire. */
export interface RawResponse {
  readonly status: number;
  /** Fields as they came, lines joined by CRLF. */
  readonly head: string;
  readonly body: string;
}

const deadlineMs = 10_000;

/** A client that sends any bytes it likes. */
export class Attacker {
  readonly socket: Socket;
  /** Everything that came back, latin1. */
  received = '';
  closed = false;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (bytes: Buffer) => (this.received += bytes.toString('latin1')));
    socket.on('error', () => socket.destroy());
    socket.on('end', () => (this.closed = true));
    socket.on('close', () => (this.closed = true));
  }

  /** Over a socket that is open already. */
  static over(socket: Socket): Attacker {
    return new Attacker(socket);
  }

  static async connect(to: { readonly host: string; readonly port: number }): Promise<Attacker> {
    const socket = connect({ ...to, noDelay: true });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', () => resolve());
      socket.once('error', reject);
    });
    return new Attacker(socket);
  }

  /** Latin1 text or bytes, as they are. */
  send(bytes: string | Buffer): void {
    if (this.socket.writable) this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes);
  }

  /** The final responses so far: interim ones are left out. */
  parse(): RawResponse[] {
    const found: RawResponse[] = [];
    let rest = this.received;
    for (;;) {
      const end = rest.indexOf('\r\n\r\n');
      const line = /^HTTP\/1\.[01] (\d{3})[^\r\n]*\r\n/.exec(rest);
      if (end < 0 || line === null) return found;
      const status = Number(line[1]);
      const head = rest.slice(line[0].length, Math.max(line[0].length, end + 2));
      rest = rest.slice(end + 4);
      if (status < 200 && status !== 101) continue;
      const body = bodyOf(head, rest, this.closed);
      if (body === null) return found;
      found.push({ status, head, body: body.text });
      rest = rest.slice(body.length);
    }
  }

  /** Waits for so many responses. */
  async responses(count: number): Promise<RawResponse[]> {
    return this.#wait(`${count} responses`, () => this.parse().length >= count && this.parse());
  }

  /** Waits for so many responses, or for the end of the connection. */
  async responsesOrEnd(count: number): Promise<RawResponse[]> {
    await this.#wait(`${count} responses or the end`, () => this.closed || this.parse().length >= count);
    return this.parse();
  }

  /** Waits until the proxy has closed the connection. */
  async end(): Promise<RawResponse[]> {
    await this.#wait('the end of the connection', () => this.closed);
    return this.parse();
  }

  async #wait<T>(what: string, condition: () => T | false): Promise<T> {
    try {
      return await waitFor(what, condition, { deadlineMs, everyMs: 1 });
    } catch (cause) {
      throw new Error(`waited for ${what}; ${this.parse().length} responses, ${this.closed ? 'closed' : 'open'}, the last bytes: ${JSON.stringify(this.received.slice(-300))}`, { cause });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}

/** `length`: on the wire. Null: not all is there. */
function bodyOf(head: string, rest: string, closed: boolean): { readonly text: string; readonly length: number } | null {
  const length = /^content-length: *(\d+)\r?$/im.exec(head)?.[1];
  if (length !== undefined) return rest.length >= Number(length) ? { text: rest.slice(0, Number(length)), length: Number(length) } : null;
  if (/^transfer-encoding: *chunked\r?$/im.test(head)) return chunkedBody(rest);
  return closed ? { text: rest, length: rest.length } : null;
}

function chunkedBody(rest: string): { readonly text: string; readonly length: number } | null {
  let at = 0;
  let text = '';
  for (;;) {
    const size = /^([0-9a-f]+)[^\r\n]*\r\n/i.exec(rest.slice(at));
    if (size === null) return null;
    const length = Number.parseInt(size[1] ?? '0', 16);
    at += size[0].length;
    if (rest.length < at + length + 2) return null;
    text += rest.slice(at, at + length);
    at += length + 2;
    if (length === 0) return { text, length: at };
  }
}

import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import type { KeyPair } from './certificates.ts';

const lastChunk = '\r\n0\r\n\r\n';
/** Of a record that begins a TLS connection. */
const tlsHandshake = 0x16;

/** The end of every road: answers HTTP/1.1 requests with 200 and what it was asked for, and any other bytes with "pong"; after TLS when a client begins it. */
export class TestUpstream {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  /** First lines and hosts of requests as they came, newest last. */
  readonly seen: { readonly path: string; readonly host: string }[] = [];
  /** What an external authorizer behind the same address says. */
  verdict: 'allow' | 'deny' = 'allow';

  private constructor(own: KeyPair) {
    const secureContext = createSecureContext({ cert: own.certificate, key: own.key });
    this.#server = createServer((socket) => {
      this.#open.add(socket);
      socket.on('close', () => this.#open.delete(socket));
      socket.on('error', () => socket.destroy());
      socket.once('data', (first: Buffer) => {
        socket.pause();
        socket.unshift(first);
        this.#serve(first[0] === tlsHandshake ? new TLSSocket(socket, { isServer: true, secureContext }) : socket);
      });
    });
  }

  static async start(own: KeyPair): Promise<TestUpstream> {
    const upstream = new TestUpstream(own);
    await new Promise<void>((resolve) => upstream.#server.listen(0, '127.0.0.1', resolve));
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#open) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #serve(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    let text = '';
    let inBody = false;
    socket.on('data', (bytes: Buffer) => {
      text += bytes.toString('latin1');
      if (inBody) {
        // of bodies only the end matters, which may come later; that of a tunnel never does
        const end = text.indexOf(lastChunk);
        if (end < 0) return;
        text = text.slice(end + lastChunk.length);
        inBody = false;
        if (text === '') return;
      }
      const head = /^([A-Z]+) (\S+) HTTP\/1\.1\r\n([\s\S]*?)\r\n\r\n/.exec(text);
      if (head) {
        this.seen.push({ path: head[2] ?? '', host: /^host: *(.*)$/im.exec(head[3] ?? '')?.[1] ?? '' });
        inBody = /^transfer-encoding: *chunked$/im.test(head[3] ?? '');
        text = text.slice(head[0].length - (inBody ? 2 : 0));
        if (inBody && text.includes(lastChunk)) {
          text = text.slice(text.indexOf(lastChunk) + lastChunk.length);
          inBody = false;
        }
        socket.write(`HTTP/1.1 ${this.verdict === 'deny' ? '403 Forbidden' : '200 OK'}\r\ncontent-length: 2\r\n\r\nok`);
      } else if (!/^[A-Z]{3,7} \S/.test(text)) socket.write('pong\r\n');
    });
    socket.resume();
  }
}

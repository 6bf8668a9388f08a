import http from 'node:http';
import http2 from 'node:http2';
import { waitFor } from '@meltemi/base';

export type LoadProtocol = 'http1' | 'http2' | 'grpc';

export interface LoadOptions {
  readonly protocol: LoadProtocol;
  /** Requests under way at once. Default 4: connections of HTTP/1, streams over two connections of HTTP/2. */
  readonly concurrency?: number;
  readonly path?: string;
  readonly host?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Says what is wrong with an answer, or null. Default: anything but 200 is. */
  readonly judge?: (answer: LoadAnswer) => string | null;
}

export interface LoadAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | number | undefined>>;
  /** The beginning of the body. */
  readonly text: string;
  /** gRPC's, "" in plain HTTP. */
  readonly grpcStatus: string;
}

/** Longest wait for one answer. */
const answerMs = 15_000;
const keptText = 200;
/** What node:http2 says of a stream that was never begun. */
const refused = new Set(['Stream closed with error code NGHTTP2_REFUSED_STREAM', 'New streams cannot be created after receiving a GOAWAY']);
const grpcMessage = Buffer.from([0, 0, 0, 0, 4, 112, 105, 110, 103]);

/** Asks over and over, each loop one request at a time, as a client does that keeps its connections and leaves when asked to. Counts every answer and every error. */
export class Load {
  readonly failures: string[] = [];
  /** Answers by a label: the value of a response header. */
  readonly seen = new Map<string, number>();
  answers = 0;
  /** Connections opened. */
  connections = 0;
  /** Streams of HTTP/2 that a leaving connection did not take, and that were asked for on the next. */
  moved = 0;
  readonly #port: number;
  readonly #options: LoadOptions;
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #sessions: (http2.ClientHttp2Session | null)[] = [null, null];
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(port: number, options: LoadOptions) {
    this.#port = port;
    this.#options = options;
    this.#loops = Array.from({ length: options.concurrency ?? 4 }, (_, index) => this.#loop(index));
  }

  /** Waits for that many more answers, or only those with the label. */
  async more(count: number, label?: string): Promise<void> {
    const now = () => (label === undefined ? this.answers : (this.seen.get(label) ?? 0));
    const target = now() + count;
    await waitFor(`${count} more answers${label === undefined ? '' : ` of ${label}`} (failures: ${this.failures.slice(0, 3).join('; ')})`, () => now() >= target, { deadlineMs: 20_000, everyMs: 5 });
  }

  /** Finishes what is under way and closes the connections. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
    this.#agent.destroy();
    for (const session of this.#sessions) session?.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #loop(index: number): Promise<void> {
    while (!this.#stopped) {
      try {
        const answer = this.#options.protocol === 'http1' ? await this.#http1() : await this.#http2(index);
        this.answers++;
        const label = String(answer.headers['x-label'] ?? answer.headers['x-backend'] ?? '');
        this.seen.set(label, (this.seen.get(label) ?? 0) + 1);
        const wrong = (this.#options.judge ?? expectGood)(answer);
        if (wrong !== null) this.failures.push(wrong);
      } catch (cause) {
        this.failures.push(cause instanceof Error ? `${cause.message}${'code' in cause ? ` (${String(cause.code)})` : ''}` : String(cause));
        // A client that is refused does not spin.
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    }
  }

  #http1(): Promise<LoadAnswer> {
    const { host = '127.0.0.1', path = '/', headers = {} } = this.#options;
    return new Promise((resolve, reject) => {
      const request = http.request({ host, port: this.#port, path, headers, agent: this.#agent, timeout: answerMs }, (response) => {
        let text = '';
        response.on('data', (part: Buffer) => { if (text.length < keptText) text += part.toString('latin1'); });
        response.on('error', reject);
        response.on('end', () => (response.complete ? resolve({ status: response.statusCode ?? 0, headers: response.headers, text, grpcStatus: '' }) : reject(new Error('cut off'))));
      });
      request.on('socket', () => { if (!request.reusedSocket) this.connections++; });
      request.on('timeout', () => request.destroy(new Error(`no answer within ${answerMs} ms`)));
      request.on('error', reject);
      request.end();
    });
  }

  /** As every client does, asks again elsewhere what a connection that goes away did not take (RFC 9113 §8.7). */
  async #http2(index: number): Promise<LoadAnswer> {
    for (;;) {
      const session = this.#session(index % this.#sessions.length);
      try {
        return await this.#stream(session);
      } catch (cause) {
        if (!refused.has(cause instanceof Error ? cause.message : '') || !session.closed) throw cause;
        this.moved++;
      }
    }
  }

  #stream(session: http2.ClientHttp2Session): Promise<LoadAnswer> {
    const { path = '/', headers = {}, protocol } = this.#options;
    return new Promise((resolve, reject) => {
      const asGrpc = protocol === 'grpc';
      const stream = session.request({ ':path': path, ':method': asGrpc ? 'POST' : 'GET', ...(asGrpc && { 'content-type': 'application/grpc', te: 'trailers' }), ...headers }, { endStream: !asGrpc });
      if (asGrpc) stream.end(grpcMessage);
      let text = '';
      let head: LoadAnswer['headers'] = {};
      let trailers: LoadAnswer['headers'] = {};
      stream.setTimeout(answerMs, () => stream.destroy(new Error(`no answer within ${answerMs} ms`)));
      stream.on('response', (received) => { head = received as LoadAnswer['headers']; });
      stream.on('trailers', (received) => { trailers = received as LoadAnswer['headers']; });
      stream.on('error', reject);
      stream.on('close', () => (stream.rstCode === 0 && head[':status'] !== undefined ? resolve({ status: Number(head[':status']), headers: head, text, grpcStatus: asGrpc ? String(trailers['grpc-status'] ?? head['grpc-status'] ?? 'none') : '' }) : reject(new Error(`stream ended with ${stream.rstCode}`))));
      stream.on('data', (part: Buffer) => { if (text.length < keptText) text += part.toString('latin1'); });
    });
  }

  #session(at: number): http2.ClientHttp2Session {
    const known = this.#sessions[at];
    if (known && !known.closed && !known.destroyed) return known;
    const { host = '127.0.0.1' } = this.#options;
    const session = http2.connect(`http://${host}:${this.#port}`);
    this.connections++;
    this.#sessions[at] = session;
    const leave = () => { if (this.#sessions[at] === session) this.#sessions[at] = null; };
    session.on('goaway', () => {
      leave();
      session.close();
    });
    session.on('close', leave);
    session.on('error', leave);
    return session;
  }
}

/** 200, and 0 in gRPC. */
export function expectGood({ status, grpcStatus, text }: LoadAnswer): string | null {
  if (status !== 200) return `status ${status}: ${text}`;
  return grpcStatus === '' || grpcStatus === '0' ? null : `grpc-status ${grpcStatus}`;
}

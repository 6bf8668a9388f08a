import { HeaderMap, ResponseHead, type RequestHead } from '@meltemi/http';
import type { Host } from '../balance/index.ts';
import type { RequestWriter, UpstreamReset } from '../stream.ts';
import type { NewStreamOptions, PendingStream, PoolFailure, StreamCallbacks } from '../upstream.ts';
import { Backend } from './backend.ts';

const connection = { id: 7, localAddress: '10.0.0.9:50000', remoteAddress: '10.1.0.1:80', tls: null, protocol: 'HTTP/1.1' } as const;

/** A stream asked of a StepBackend, which goes on only as the test says. What a codec would never see is an error. */
export class StepStream implements RequestWriter, PendingStream {
  readonly options: NewStreamOptions;
  state: 'waiting' | 'open' | 'over' = 'waiting';
  request: RequestHead | null = null;
  body = '';
  ended = false;
  wasReset = false;
  answered = false;
  paused = false;
  /** Takes no more of the body until `drain`. */
  full = false;
  readonly #callbacks: StreamCallbacks;
  #early = false;

  constructor(options: NewStreamOptions, callbacks: StreamCallbacks) {
    this.options = options;
    this.#callbacks = callbacks;
  }

  // What the test does

  ready(): void {
    if (this.state !== 'waiting') return;
    this.state = 'open';
    this.#callbacks.onReady(this, connection);
  }

  fail(kind: PoolFailure['kind'] = 'connect'): void {
    if (this.state !== 'waiting') return;
    this.state = 'over';
    this.#callbacks.onPoolFailure({ kind, transportFailure: null });
  }

  head(head: RequestHead, endStream: boolean): void {
    this.#expectOpen('head');
    this.request = head;
    this.ended = endStream;
  }

  respond(status: number, fields: readonly string[] = [], endStream = false): void {
    if (this.state !== 'open' || this.answered) return;
    this.answered = true;
    if (endStream) this.#over();
    this.#callbacks.onHead(new ResponseHead(status, new HeaderMap([...fields])), endStream);
  }

  part(text: string): void {
    if (this.state === 'open' && this.answered && !this.paused) this.#callbacks.onData(Buffer.from(text), 0, text.length);
  }

  finish(): void {
    if (this.state !== 'open' || !this.answered) return;
    this.#over();
    this.#callbacks.onEnd(null);
  }

  break(reset: Partial<UpstreamReset> = {}): void {
    if (this.state !== 'open') return;
    this.state = 'over';
    this.#callbacks.onReset({ kind: 'termination', detail: '', stale: false, refused: false, ...reset });
  }

  drain(): void {
    if (!this.full) return;
    this.full = false;
    if (this.state === 'open') this.#callbacks.onWritable();
  }

  // RequestWriter

  data(buffer: Buffer, start: number, end: number): boolean {
    this.#expectOpen('data');
    this.body += buffer.toString('latin1', start, end);
    return !this.full;
  }

  end(): void {
    this.#expectOpen('end');
    this.ended = true;
  }

  reset(): void {
    if (this.state === 'over') throw new Error('reset of a stream that is over');
    this.state = 'over';
    this.wasReset = true;
  }

  cancel(): void {
    if (this.state !== 'waiting') throw new Error('cancelled, but not waiting');
    this.state = 'over';
  }

  pauseResponse(): void {
    this.paused = true;
  }

  resumeResponse(): void {
    this.paused = false;
  }

  /** The rest of a request that is answered early has no reader, as in the codecs. */
  #over(): void {
    this.#early = !this.ended;
    this.state = 'over';
  }

  #expectOpen(what: string): void {
    if (this.state !== 'open' && !this.#early) throw new Error(`${what} on a stream that is ${this.state}`);
  }
}

/** A cluster whose streams wait for the test. */
export class StepBackend extends Backend {
  readonly streams: StepStream[] = [];

  override newStream(_host: Host, options: NewStreamOptions, callbacks: StreamCallbacks): PendingStream {
    const stream = new StepStream(options, callbacks);
    this.streams.push(stream);
    return stream;
  }

  /** The newest. */
  get last(): StepStream {
    const stream = this.streams.at(-1);
    if (stream === undefined) throw new Error('nothing was asked of the backend');
    return stream;
  }
}

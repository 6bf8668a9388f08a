import type { Http2CodecOptions } from './options.ts';

/** connection_keepalive: a PING every interval (with jitter), and the end of the connection when no answer comes in time. */
export class Keepalive {
  readonly #options: Http2CodecOptions;
  readonly #ping: () => void;
  readonly #lost: () => void;
  #cancelNext: (() => void) | null = null;
  #cancelTimeout: (() => void) | null = null;

  constructor(options: Http2CodecOptions, actions: { ping(): void; lost(): void }) {
    this.#options = options;
    this.#ping = () => this.probe();
    this.#lost = () => actions.lost();
    this.#send = () => actions.ping();
    this.#schedule();
  }

  readonly #send: () => void;

  /** Pings now, unless an answer is being waited for. */
  probe(): void {
    if (this.#cancelTimeout !== null || this.#options.http2.keepaliveTimeoutMs <= 0) return;
    this.#cancelNext?.();
    this.#cancelNext = null;
    this.#send();
    this.#cancelTimeout = this.#options.after(this.#options.http2.keepaliveTimeoutMs, this.#lost);
  }

  answered(): void {
    this.#cancelTimeout?.();
    this.#cancelTimeout = null;
    this.#schedule();
  }

  stop(): void {
    this.#cancelNext?.();
    this.#cancelTimeout?.();
    this.#cancelNext = null;
    this.#cancelTimeout = null;
  }

  #schedule(): void {
    const { keepaliveIntervalMs, keepaliveJitterPercent } = this.#options.http2;
    if (keepaliveIntervalMs <= 0 || this.#cancelNext !== null) return;
    const jitter = keepaliveIntervalMs * (keepaliveJitterPercent / 100) * this.#options.random.next();
    this.#cancelNext = this.#options.after(keepaliveIntervalMs + jitter, () => {
      this.#cancelNext = null;
      this.#ping();
    });
  }
}

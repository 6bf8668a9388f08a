import type { HeaderMap } from '@meltemi/http';
import type { HttpStreamFilter, StreamControls } from '../../../filter.ts';

/** Envoy refills twenty times a second. */
const sliceMs = 50;

/** Lets a response's body through at so many bytes a slice; upstream is held back while some of it waits. */
export class Throttle {
  readonly #filter: HttpStreamFilter;
  readonly #perSlice: number;
  /** Of this slice. */
  #left: number;
  #waiting: Buffer[] = [];
  #ended: { readonly trailers: HeaderMap | null } | null = null;
  #cancel: (() => void) | null = null;

  constructor(filter: HttpStreamFilter, kibPerSecond: number) {
    this.#filter = filter;
    this.#perSlice = Math.max(1, Math.floor((kibPerSecond * 1024 * sliceMs) / 1000));
    this.#left = this.#perSlice;
  }

  data(stream: StreamControls, buffer: Buffer, start: number, end: number): void {
    let at = start;
    if (this.#waiting.length === 0 && this.#left > 0) {
      at = Math.min(end, start + this.#left);
      this.#left -= at - start;
      stream.injectResponseData(this.#filter, buffer, start, at);
      this.#arm(stream);
    }
    if (at === end) return;
    if (this.#waiting.length === 0) stream.holdResponseBody();
    this.#waiting.push(Buffer.from(buffer.subarray(at, end)));
  }

  end(stream: StreamControls, trailers: HeaderMap | null): void {
    if (this.#waiting.length === 0) stream.injectResponseEnd(this.#filter, trailers);
    else this.#ended = { trailers };
  }

  destroy(): void {
    this.#cancel?.();
    this.#cancel = null;
    this.#waiting = [];
  }

  #arm(stream: StreamControls): void {
    this.#cancel ??= stream.clock.after(sliceMs, () => {
      this.#cancel = null;
      this.#left = this.#perSlice;
      this.#slice(stream);
    });
  }

  #slice(stream: StreamControls): void {
    if (this.#waiting.length === 0) return;
    for (let part = this.#waiting[0]; part !== undefined && this.#left > 0; part = this.#waiting[0]) {
      const take = Math.min(part.length, this.#left);
      this.#left -= take;
      if (take === part.length) this.#waiting.shift();
      else this.#waiting[0] = part.subarray(take);
      stream.injectResponseData(this.#filter, part, 0, take);
    }
    this.#arm(stream);
    if (this.#waiting.length > 0) return;
    if (this.#ended !== null) stream.injectResponseEnd(this.#filter, this.#ended.trailers);
    else stream.releaseResponseBody();
  }
}

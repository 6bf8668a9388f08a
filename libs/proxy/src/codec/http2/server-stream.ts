import type { RequestHead, ResponseHead } from '@meltemi/http';
import type { RequestReceiver, ResponseWriter } from '../../stream.ts';
import { Http2Error, type Http2CodecError } from './errors.ts';
import type { Http2ServerConnection } from './server-connection.ts';
import { Http2Stream } from './stream-base.ts';

/** One request of a client and its response. @hot */
export class Http2ServerStream extends Http2Stream implements ResponseWriter {
  declare readonly connection: Http2ServerConnection;
  /** The client waits for a 100 before it sends its body. */
  readonly expectContinue: boolean;
  /** An extended CONNECT (RFC 8441): looks like an HTTP/1 upgrade from here on. */
  readonly isUpgrade: boolean;
  /** Monotonic milliseconds of the beginning. */
  readonly openedMs: number;
  responseStarted = false;
  receiver: RequestReceiver | null = null;
  readonly #toHead: boolean;
  #bodyless = false;

  constructor(connection: Http2ServerConnection, id: number, facts: { readonly head: RequestHead; readonly openedMs: number; readonly expectContinue: boolean; readonly isUpgrade: boolean }) {
    super(connection);
    this.id = id;
    this.openedMs = facts.openedMs;
    this.expectContinue = facts.expectContinue;
    this.isUpgrade = facts.isUpgrade;
    this.#toHead = facts.head.method === 'HEAD';
  }

  // ResponseWriter

  interim(head: ResponseHead): void {
    if (this.closed || this.responseStarted || head.status === 101) return;
    this.#fields(head.status, head, false);
  }

  head(head: ResponseHead, endStream: boolean): void {
    if (this.closed || this.responseStarted) return;
    this.responseStarted = true;
    const switching = this.isUpgrade && head.status === 101;
    const status = switching ? 200 : head.status;
    this.#bodyless = this.#toHead || status === 204 || status === 304;
    this.#fields(status, head, endStream);
    if (!endStream) return;
    this.localEnded = true;
    this.onLocalEnd();
  }

  override data(buffer: Buffer, start: number, end: number): boolean {
    return this.#bodyless || super.data(buffer, start, end);
  }

  reset(): void {
    this.receiver = null;
    if (this.closed) return;
    this.connection.resetStream(this.id, this.responseStarted ? Http2Error.internal : Http2Error.cancel);
    this.drop();
    this.connection.remove(this);
  }

  pauseRequest(): void {
    this.pause();
  }

  resumeRequest(): void {
    this.resume();
  }

  #fields(status: number, head: ResponseHead, endStream: boolean): void {
    this.connection.beginFields().field(':status', statusText(status));
    this.connection.finishFields(this.id, endStream, head.headers);
  }

  // Http2Stream

  protected bodyReceiver(): RequestReceiver | null {
    return this.receiver;
  }

  protected heldEndDelivered(): RequestReceiver | null {
    return this.receiver;
  }

  protected onRemoteEnd(): void {
    if (this.localEnded) this.#over();
  }

  protected onLocalEnd(): void {
    // RFC 9113 §8.1: the answer is complete, the rest of the request has no reader.
    if (!this.remoteEnded) this.connection.resetStream(this.id, Http2Error.none);
    this.#over();
  }

  #over(): void {
    this.receiver = null;
    this.drop();
    this.connection.remove(this);
  }

  onFailed(error: Http2CodecError): void {
    this.connection.streamFailed(this, error);
  }

  onPeerReset(): void {
    this.#lost('disconnect', 'http2.remote_reset');
  }

  onConnectionLost(error: Http2CodecError | null): void {
    if (error === null) this.#lost('disconnect', 'downstream_remote_disconnect');
    else this.#lost('protocol', error.details);
  }

  /** Tells the receiver once that nothing follows. */
  #lost(reason: 'disconnect' | 'protocol', details: string): void {
    const receiver = this.receiver;
    this.receiver = null;
    receiver?.onReset(reason, details);
  }

  /** We ended the stream for what the client did. */
  lose(error: Http2CodecError): void {
    this.#lost('protocol', error.details);
  }
}

const statusTexts: string[] = [];

function statusText(status: number): string {
  return (statusTexts[status] ??= String(status));
}

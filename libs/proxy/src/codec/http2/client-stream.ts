import type { RequestHead, ResponseHead } from '@meltemi/http';
import type { RequestWriter, ResponseReceiver, UpstreamReset } from '../../stream.ts';
import { isWebsocket, websocketAccept } from '../websocket-key.ts';
import type { Http2ClientConnection } from './client-connection.ts';
import { Http2Error, http2StreamErrors as errors, type Http2CodecError } from './errors.ts';
import { Http2Stream } from './stream-base.ts';

/** One request to a host and its response. @hot */
export class Http2ClientStream extends Http2Stream implements RequestWriter {
  declare readonly connection: Http2ClientConnection;
  receiver: ResponseReceiver | null;
  readonly isUpgrade: boolean;
  readonly #toHead: boolean;
  #headSeen = false;
  #upgradeTo = '';
  /** Of an HTTP/1 client, which looks for the proof that it was understood. */
  #key = '';

  constructor(connection: Http2ClientConnection, receiver: ResponseReceiver, method: string, isUpgrade: boolean) {
    super(connection);
    this.receiver = receiver;
    this.isUpgrade = isUpgrade;
    this.#toHead = method === 'HEAD';
  }

  get responseStarted(): boolean {
    return this.#headSeen;
  }

  // RequestWriter

  head(head: RequestHead, endStream: boolean): void {
    if (this.closed || this.id !== 0) return;
    this.connection.open(this);
    if (this.closed) return;
    this.#requestFields(head);
    this.connection.finishFields(this.id, endStream, head.headers);
    if (!endStream) return;
    this.localEnded = true;
    this.onLocalEnd();
  }

  /** Gives the stream up; nothing is told afterwards. */
  reset(): void {
    this.receiver = null;
    this.#abandon(Http2Error.cancel);
  }

  pauseResponse(): void {
    this.pause();
  }

  resumeResponse(): void {
    this.resume();
  }

  #requestFields(head: RequestHead): void {
    const encoder = this.connection.beginFields();
    const upgrade = this.isUpgrade ? head.headers.get('upgrade') : null;
    this.#upgradeTo = upgrade ?? '';
    if (isWebsocket(upgrade)) this.#key = head.headers.get('sec-websocket-key') ?? '';
    if (upgrade !== null) {
      encoder.field(':method', 'CONNECT');
      encoder.field(':protocol', upgrade);
    } else encoder.field(':method', head.method);
    if (upgrade !== null || head.method !== 'CONNECT') {
      encoder.field(':scheme', head.scheme);
      encoder.field(':path', head.path);
    }
    if (head.authority !== '') encoder.field(':authority', head.authority);
  }

  // Response: called by the connection

  /** The field block of the stream is in the connection's `block`. */
  receiveHead(head: ResponseHead, endStream: boolean, contentLength: number): void {
    const { status } = head;
    if (status < 200) return endStream ? this.connection.failStream(this, errors.interimEnd) : this.receiver?.onInterim(head);
    this.#headSeen = true;
    const bodyless = this.#toHead || status === 204 || status === 304;
    if (!bodyless) this.expectedBytes = contentLength;
    if (this.#upgradeTo !== '' && status === 200) {
      head.status = 101;
      head.headers.set('upgrade', this.#upgradeTo);
      if (this.#key !== '' && !head.headers.has('sec-websocket-accept')) head.headers.add('sec-websocket-accept', websocketAccept(this.#key));
      this.expectedBytes = -1;
    }
    if (!endStream) return this.receiver?.onHead(head, false);
    if (!bodyless && contentLength > 0) return this.connection.failStream(this, errors.badContentLength);
    const receiver = this.receiver;
    this.receiver = null;
    this.remoteEnded = true;
    this.onRemoteEnd();
    return receiver?.onHead(head, true);
  }

  // Http2Stream

  protected bodyReceiver(): ResponseReceiver | null {
    return this.receiver;
  }

  protected heldEndDelivered(): ResponseReceiver | null {
    const receiver = this.receiver;
    this.receiver = null;
    return receiver;
  }

  protected onRemoteEnd(): void {
    if (!this.endHeld) this.receiver = null;
    // RFC 9113 §8.1: an answer before the end of the request; what is left of it has no reader.
    if (!this.localEnded) this.#abandon(Http2Error.cancel);
    else this.connection.remove(this);
  }

  protected onLocalEnd(): void {
    if (this.remoteEnded) this.connection.remove(this);
  }

  #abandon(code: number): void {
    if (this.closed) return;
    if (this.id !== 0) this.connection.resetStream(this.id, code);
    if (!this.endHeld) this.drop();
    this.connection.remove(this);
  }

  onFailed(error: Http2CodecError): void {
    this.lose({ kind: 'protocol', detail: error.details, stale: false, refused: false });
  }

  onPeerReset(code: number): void {
    const refused = code === Http2Error.refusedStream;
    this.lose({ kind: 'remote', detail: refused ? 'http2.remote_refuse' : 'http2.remote_reset', stale: false, refused });
  }

  onConnectionLost(error: Http2CodecError | null): void {
    if (error !== null) this.lose({ kind: 'protocol', detail: error.details, stale: false, refused: false });
    else this.lose({ kind: 'termination', detail: '', stale: this.connection.isStale(this), refused: this.id === 0 });
  }

  /** Tells the receiver once that nothing follows. */
  lose(reset: UpstreamReset): void {
    const receiver = this.receiver;
    this.receiver = null;
    receiver?.onReset(reset);
  }
}

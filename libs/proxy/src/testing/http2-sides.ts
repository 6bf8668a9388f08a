import type { HeaderMap, ResponseHead } from '@meltemi/http';
import { Http2ClientConnection } from '../codec/http2/client-connection.ts';
import { preface } from '../codec/http2/frames.ts';
import { Http2ServerConnection } from '../codec/http2/server-connection.ts';
import type { Http2ServerStream } from '../codec/http2/server-stream.ts';
import type { RequestReceiver, ResponseReceiver } from '../stream.ts';
import { FrameTeller, settings, takeFrames, testOptions, type TestOptions } from './http2-wire.ts';
import { Wire } from './wire.ts';

/** Our server with a client of bytes; `seen` is what the codec told, in words, adjacent data joined. */
export function serverSide(options: TestOptions = testOptions()) {
  const wire = new Wire();
  const seen: string[] = [];
  const streams: Http2ServerStream[] = [];
  const teller = new FrameTeller();
  const codec = new Http2ServerConnection(wire, {
    onRequest: (_connection, stream, head, endStream) => {
      streams.push(stream);
      seen.push(`${stream.id} ${head.method} ${head.path} ${head.authority} [${head.headers.flat.join(' ')}]${endStream ? ' end' : ''}`);
      return receiver(seen, stream.id);
    },
    onCodecError: (_connection, error) => seen.push(`error ${error.code} ${error.details}`),
    onConnectionClose: () => seen.push('closed'),
  }, options);
  return {
    wire, seen, streams, codec, options,
    /** Preface and SETTINGS of the client; what the server said so far is dropped. */
    open: (...pairs: readonly number[]) => {
      wire.receive(preface + settings(...pairs));
      takeFrames(wire);
    },
    sent: () => teller.tell(takeFrames(wire)),
  };
}

function receiver(seen: string[], id: number): RequestReceiver {
  return {
    onData: (buffer, start, end) => joinData(seen, id, buffer.toString('latin1', start, end)),
    onEnd: (trailers) => seen.push(`${id} end${trailersText(trailers)}`),
    onReset: (reason, details) => seen.push(`${id} reset ${reason} ${details ?? ''}`),
    onWritable: () => seen.push(`${id} writable`),
  };
}

function joinData(seen: string[], id: number, text: string): void {
  const last = seen.at(-1);
  if (last?.startsWith(`${id} data `)) seen[seen.length - 1] = last + text;
  else seen.push(`${id} data ${text}`);
}

function trailersText(trailers: HeaderMap | null): string {
  return trailers === null ? '' : ` [${trailers.flat.join(' ')}]`;
}

/** Our client with a server of bytes. */
export function clientSide(options: TestOptions = testOptions()) {
  const wire = new Wire();
  const seen: string[] = [];
  const teller = new FrameTeller();
  let streams = 0;
  const codec = new Http2ClientConnection(wire, {
    onCapacity: (connection) => seen.push(`capacity ${connection.capacity}`),
    onIdle: () => seen.push('idle'),
    onGoAway: (_connection, last) => seen.push(`goaway ${last}`),
    onGone: (_connection, error) => seen.push(`gone ${error?.details ?? ''}`.trim()),
  }, options);
  return {
    wire, seen, codec, options,
    /** SETTINGS of the server; what the client said so far is dropped. */
    open: (...pairs: readonly number[]) => {
      wire.receive(settings(...pairs) + '\0\0\0\x04\x01\0\0\0\0');
      takeFrames(wire, preface.length);
      seen.length = 0;
    },
    stream: (method = 'GET', upgrade = false) => codec.newStream(responses(seen, ++streams), method, upgrade),
    sent: () => teller.tell(takeFrames(wire)),
  };
}

/** `name` tells streams apart: 1 is the first one asked for. */
function responses(seen: string[], name: number): ResponseReceiver {
  const words = (head: ResponseHead) => `${head.status} [${head.headers.flat.join(' ')}]`;
  return {
    onInterim: (head) => seen.push(`${name} interim ${words(head)}`),
    onHead: (head, endStream) => seen.push(`${name} ${words(head)}${endStream ? ' end' : ''}`),
    onData: (buffer, start, end) => joinData(seen, name, buffer.toString('latin1', start, end)),
    onEnd: (trailers) => seen.push(`${name} end${trailersText(trailers)}`),
    onReset: (reset) => seen.push(`${name} reset ${reset.kind} ${reset.detail}${reset.refused ? ' refused' : ''}${reset.stale ? ' stale' : ''}`),
    onWritable: () => seen.push(`${name} writable`),
  };
}

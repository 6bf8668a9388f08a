import type { TestContext } from 'node:test';
import { mathRandom, systemClock } from '@meltemi/base';
import { HeaderMap, ResponseHead, type RequestHead } from '@meltemi/http';
import { Http2ClientConnection, Http2ServerConnection, type Http2CodecOptions, type Http2ServerStream, type RequestReceiver, type ResponseReceiver, type UpstreamReset } from '@meltemi/proxy';
import { dial } from './dial.ts';
import { listen } from './listen.ts';

/** Windows small enough that bodies of a megabyte meet them often. */
export const codecOptions: Http2CodecOptions = {
  http2: {
    hpackTableSize: 4096, maxConcurrentStreams: 200, initialStreamWindow: 100_000, initialConnectionWindow: 200_000, allowConnect: false, keepaliveIntervalMs: 0,
    keepaliveTimeoutMs: 0, keepaliveJitterPercent: 15, connectionIdleIntervalMs: 0, maxOutboundFrames: 10_000, maxOutboundControlFrames: 1000,
    maxConsecutiveEmptyFrames: 1, maxPriorityFramesPerStream: 100, maxWindowUpdatesPerDataFrame: 10, streamErrorOnMalformed: false,
  },
  limits: { maxHeadBytes: 60 * 1024, maxFields: 100 },
  lingerMs: 1000,
  random: mathRandom,
  now: () => systemClock.monotonic(),
  after: (delayMs, task) => systemClock.after(delayMs, task),
};

/** Our server over real sockets: sends back every request's fields as `x-got-…`, its body and its trailers. */
export async function echoServer(t: TestContext) {
  const errors: string[] = [];
  const connections: Http2ServerConnection[] = [];
  const socket = await listen({
    target: { kind: 'ip', address: '127.0.0.1', port: 0 }, reusePort: false, backlog: null,
    onConnection: (accepted) => {
      const connection = accepted.plain(100_000);
      const codec = new Http2ServerConnection(connection, {
        onRequest: (_codec, stream, head, endStream) => echo(stream, head, endStream),
        onCodecError: (_codec, error) => errors.push(error.details),
        onConnectionClose: () => {},
      }, codecOptions);
      connections.push(codec);
      accepted.start(connection);
    },
  });
  t.after(() => {
    for (const codec of connections) codec.connection.destroy();
    void socket.close();
  });
  if (socket.target.kind !== 'ip') throw new Error('no port');
  return { port: socket.target.port, errors, connections };
}

function echo(stream: Http2ServerStream, head: RequestHead, endStream: boolean): RequestReceiver {
  const fields = ['x-method', head.method, 'x-path', head.path, 'x-authority', head.authority];
  for (const [name, value] of head.headers) fields.push(`x-got-${name}`, value);
  stream.head(new ResponseHead(200, new HeaderMap(fields)), endStream);
  return {
    onData: (buffer, start, end) => {
      if (!stream.data(buffer, start, end)) stream.pauseRequest();
    },
    onEnd: (trailers) => stream.end(trailers),
    onReset: () => {},
    onWritable: () => stream.resumeRequest(),
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: HeaderMap;
  readonly bytes: number;
  readonly trailers: HeaderMap | null;
  readonly reset: UpstreamReset | null;
}

/** Our client over a real socket. */
export async function clientOf(t: TestContext, port: number) {
  const told: string[] = [];
  const codec = await new Promise<Http2ClientConnection>((resolve, reject) => {
    dial({ target: { kind: 'ip', address: '127.0.0.1', port }, connectTimeoutMs: 5000, bufferLimit: 100_000, tls: null }, {
      onOpen: (connection) => {
        const owner = { onCapacity: () => {}, onIdle: () => told.push('idle'), onGoAway: () => told.push('goaway'), onGone: () => told.push('gone') };
        resolve(new Http2ClientConnection(connection, owner, codecOptions));
      },
      onFailure: (failure) => reject(failure.cause),
    });
  });
  t.after(() => codec.connection.destroy());
  return { codec, told, send: (head: RequestHead, body: Buffer | null, trailers: HeaderMap | null = null) => send(codec, head, { body, trailers }) };
}

function send(codec: Http2ClientConnection, head: RequestHead, more: { readonly body: Buffer | null; readonly trailers: HeaderMap | null }): Promise<Answer> {
  return new Promise((resolve) => {
    const { body, trailers } = more;
    let answer: ResponseHead | null = null;
    let bytes = 0;
    let at = 0;
    const done = (end: HeaderMap | null, reset: UpstreamReset | null) => resolve({ status: answer?.status ?? 0, headers: answer?.headers ?? new HeaderMap(), bytes, trailers: end, reset });
    const receiver: ResponseReceiver = {
      onInterim: () => {},
      onHead: (response, endStream) => {
        answer = response;
        if (endStream) done(null, null);
      },
      onData: (_buffer, start, end) => {
        bytes += end - start;
      },
      onEnd: (end) => done(end, null),
      onReset: (reset) => done(null, reset),
      onWritable: () => push(),
    };
    const stream = codec.newStream(receiver, head.method);
    const push = () => {
      if (body === null) return;
      while (at < body.length) {
        const end = Math.min(body.length, at + 50_000);
        const room = stream.data(body, at, end);
        at = end;
        if (!room) return;
      }
      stream.end(trailers);
    };
    stream.head(head, body === null);
    push();
  });
}

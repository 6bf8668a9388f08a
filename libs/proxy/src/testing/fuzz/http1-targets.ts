import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';
import type { CodecError } from '../../codec/http1/errors.ts';
import { ParserState, type Http1MessageParser } from '../../codec/http1/message-parser.ts';
import { Http1RequestParser } from '../../codec/http1/request-parser.ts';
import { Http1ResponseParser } from '../../codec/http1/response-parser.ts';
import { BodyFraming, writeRequest } from '../../codec/http1/serialise.ts';
import { latin1 } from '../../latin1.ts';
import { readStrictly } from '../strict-reader.ts';
import { written } from '../wire.ts';
import type { Draw } from './draw.ts';
import { same, type FuzzTarget } from './target.ts';

/** Writes down what a parser tells, as one text: parts of a body are joined, so that cuts leave no trace. */
class Script {
  text = '';
  readonly heads: RequestHead[] = [];
  /** Bodies that came whole, by request. */
  readonly bodies: string[] = [];
  #body = '';
  #inBody = false;

  onRequestHead(head: RequestHead, endStream: boolean): void {
    this.heads.push(head);
    this.#line(`${head.method}|${head.path}|${head.authority}|${head.scheme}|${head.protocol}|${head.upgrade}|${head.headers.flat.join('|')}|${endStream}`);
    if (endStream) this.bodies.push('');
  }

  onResponseHead(head: ResponseHead, endStream: boolean): void {
    this.#line(`${head.status}|${head.headers.flat.join('|')}|${endStream}`);
  }

  onInterimHead(head: ResponseHead): void {
    this.#line(`interim ${head.status}`);
  }

  onBody(buffer: Buffer, start: number, end: number): void {
    if (start < 0 || end <= start || end > buffer.length) throw new Error(`a body part of [${start}, ${end})`);
    if (!this.#inBody) this.text += '\nbody ';
    this.#inBody = true;
    const part = latin1(buffer, start, end);
    this.text += part;
    this.#body += part;
  }

  onMessageEnd(trailers: HeaderMap | null): void {
    this.bodies.push(this.#body);
    this.#line(`end ${trailers?.flat.join('|') ?? ''}`);
  }

  onParseError(error: CodecError): void {
    this.#line(`error ${error.status} ${error.details}`);
  }

  #line(text: string): void {
    this.text += `\n${text}`;
    this.#inBody = false;
    this.#body = '';
  }
}

/** Feeds [start, end); a parser that stops without having moved, or moves backwards, would hang its connection. */
function feed(parser: Http1MessageParser, buffer: Buffer, start: number, end: number): void {
  let steps = 0;
  for (let at = start; at < end && parser.state !== ParserState.failed; ) {
    if (++steps > end - start + 2) throw new Error(`more steps than bytes at ${at}`);
    const next = parser.execute(buffer, at, end);
    if (next < at || next > end) throw new Error(`went from ${at} to ${next} of ${end}`);
    at = next;
    if (parser.state !== ParserState.done) continue;
    if (!(parser instanceof Http1RequestParser)) return;
    parser.next();
  }
}

function feedCut(parser: Http1MessageParser, input: Buffer, draw: Draw): void {
  const largest = draw.below(3) === 0 ? 1 : 1 + draw.below(40);
  for (let at = 0; at < input.length; ) {
    const end = Math.min(input.length, at + (largest === 1 ? 1 : 1 + draw.below(largest)));
    if (parser.state === ParserState.done && !(parser instanceof Http1RequestParser)) return;
    feed(parser, input, at, end);
    at = end;
  }
}

const requestOptions = { enableTrailers: true } as const;

/** The requests of these bytes; at most those that a reader finds who was written apart, with the same bodies. */
function checkRequests(input: Buffer, draw: Draw): void {
  const whole = new Script();
  const parser = new Http1RequestParser(whole, requestOptions);
  feed(parser, input, 0, input.length);
  parser.finish();
  const cut = new Script();
  const other = new Http1RequestParser(cut, requestOptions);
  feedCut(other, input, draw);
  other.finish();
  same('another cut gives other events', cut.text, whole.text);
  againstReader(whole, input);
  const head = whole.heads[0];
  if (head !== undefined && head.upgrade === '' && draw.below(8) === 0) checkRewritten(head);
}

function againstReader({ heads, bodies }: Script, input: Buffer): void {
  if (heads.length === 0) return;
  // A switch of protocols has no requests behind it, which the reader does not know.
  const requests = heads.filter((head) => head.upgrade === '');
  const meant = readStrictly(latin1(input, 0, input.length), false);
  if (meant.length < requests.length) throw new Error(`${requests.length} requests where there are ${meant.length}`);
  for (const [i, head] of requests.entries()) {
    same('another method', head.method, meant[i]?.method ?? '');
    const body = bodies[i];
    if (body === undefined) continue;
    same('another body', body, meant[i]?.body ?? '');
    if (meant[i]?.complete !== true) throw new Error('a body that is not complete');
  }
}

/** What goes on to the host is one request: this one. */
function checkRewritten(head: RequestHead): void {
  const text = Buffer.from(written((to) => writeRequest(to, head, head.headers.has('content-length') ? BodyFraming.asHeaders : BodyFraming.chunked, { absolute: false, proper: false })), 'latin1');
  const script = new Script();
  feed(new Http1RequestParser(script, requestOptions), text, 0, text.length);
  const again = script.heads[0];
  if (head.authority === '') return;
  if (again === undefined || script.heads.length !== 1) throw new Error(`passed on as ${script.heads.length} requests: ${text.toString('latin1')}`);
  same('passed on with other fields', again.headers.flat.join('|'), head.headers.flat.join('|'));
  same('passed on to another target', `${again.method} ${again.path} ${again.authority}`, `${head.method} ${head.path} ${head.authority}`);
}

const words: FuzzTarget['words'] = [
  '\r\n', '\r\n\r\n', '\n', '\r', 'Host: b\r\n', 'Content-Length: 5\r\n', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Connection: close\r\n', 'Connection: upgrade\r\n', 'Upgrade: websocket\r\n',
  'Connection: host, content-length\r\n', 'Expect: 100-continue\r\n', 'TE: trailers\r\n', '5\r\n', '0\r\n\r\n', ';a=b', ' ', '\t', ': ', 'GET /2 HTTP/1.1\r\nHost: b\r\n\r\n', 'HTTP/1.0', 'http://c/', 'CONNECT ', 'chunked', '\0', 'fffffffffffff',
];

export const http1Request: FuzzTarget = {
  name: 'http1-request',
  about: 'requests: no throw, bounded steps, same events for any cut, no request or body that RFC 9112 does not see, passed on as they came',
  seeds: [
    'GET /first?a=b HTTP/1.1\r\nHost: a\r\nX-A: b\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhelloGET /after HTTP/1.1\r\nHost: a\r\n\r\n',
    'POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n',
    'GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nframes',
    'GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET http://a:1/b HTTP/1.1\r\nHost: a\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\nbytes',
  ],
  words,
  check: checkRequests,
};

export const http1Chunked: FuzzTarget = {
  name: 'http1-chunked',
  about: 'chunked bodies: the same, with the fuzz where the chunks are',
  seeds: ['5\r\nhello\r\n0\r\n\r\n', '1\r\na\r\n0a;e="f"\r\n0123456789\r\n000\r\nX-A: b\r\nX-B: c\r\n\r\n', '5\r\nhello\r\n5\r\nhello\r\n0\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n'],
  words: ['\r\n', '\n', '\r', '0\r\n', '5\r\n', ';', ';a=b', 'ffffffffffff', '0x', '00000000', '\r\n\r\n', ' ', '\t', 'Content-Length: 5\r\n', 'Transfer-Encoding: chunked\r\n', 'X: y\r\n', '\0', 'hello'],
  check: (input, draw) => {
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n';
    scratch.write(head, 0, 'latin1');
    input.copy(scratch, head.length);
    checkRequests(scratch.subarray(0, head.length + input.length), draw);
  },
};
const scratch = Buffer.alloc(4096);

export const http1Response: FuzzTarget = {
  name: 'http1-response',
  about: 'responses to any method: no throw, bounded steps, same events for any cut',
  seeds: [
    'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n', 'HTTP/1.0 200 OK\r\n\r\nuntil the end',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\nframes', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n',
  ],
  words: [...words, 'HTTP/1.1 ', '304', '204', '101', ' 200 ', 'HTTP/1.1 200 OK\r\n\r\n'],
  check: (input, draw) => {
    const method = draw.pick(['GET', 'HEAD', 'CONNECT', 'POST']);
    const upgrade = draw.below(4) === 0;
    const read = (cut: boolean) => {
      const script = new Script();
      const parser = new Http1ResponseParser(script, { enableTrailers: true, allowChunkedLength: upgrade });
      parser.expect(method, upgrade);
      if (cut) feedCut(parser, input, draw);
      else feed(parser, input, 0, input.length);
      parser.finish();
      return script.text;
    };
    same('another cut gives other events', read(true), read(false));
  },
};

import type { HeaderMap, RequestHead, ResponseHead } from '@meltemi/http';

/** How the body that follows a head is delimited. */
export const BodyFraming = {
  /** None, or by the content-length field that the head has. */
  asHeaders: 0,
  chunked: 1,
  /** By the end of the connection: HTTP/1.0 clients. */
  untilClose: 2,
  /** The protocol changes after this head. */
  upgrade: 3,
} as const;

/** One string per head, latin1. @hot */
export function requestText(head: RequestHead, framing: number): string {
  let text = `${head.method} ${head.path} HTTP/1.1\r\nhost: ${head.authority}\r\n`;
  const flat = head.headers.flat;
  for (let i = 0; i < flat.length; i += 2) text += `${flat[i]}: ${flat[i + 1]}\r\n`;
  return text + tail(framing);
}

/** `closing` adds connection: close. */
export function responseText(head: ResponseHead, framing: number, closing: boolean): string {
  let text = statusLine(head.status);
  const flat = head.headers.flat;
  for (let i = 0; i < flat.length; i += 2) text += `${flat[i]}: ${flat[i + 1]}\r\n`;
  if (closing && framing !== BodyFraming.upgrade) text += 'connection: close\r\n';
  return text + tail(framing);
}

/** The end of a chunked body. */
export function lastChunkText(trailers: HeaderMap | null): string {
  if (trailers === null) return '0\r\n\r\n';
  let text = '0\r\n';
  const flat = trailers.flat;
  for (let i = 0; i < flat.length; i += 2) text += `${flat[i]}: ${flat[i + 1]}\r\n`;
  return `${text}\r\n`;
}

function tail(framing: number): string {
  if (framing === BodyFraming.chunked) return 'transfer-encoding: chunked\r\n\r\n';
  return framing === BodyFraming.upgrade ? 'connection: upgrade\r\n\r\n' : '\r\n';
}

const reasons: Readonly<Record<number, string>> = {
  100: 'Continue', 101: 'Switching Protocols', 103: 'Early Hints', 200: 'OK', 201: 'Created', 202: 'Accepted', 203: 'Non-Authoritative Information', 204: 'No Content',
  205: 'Reset Content', 206: 'Partial Content', 300: 'Multiple Choices', 301: 'Moved Permanently', 302: 'Found', 303: 'See Other', 304: 'Not Modified',
  307: 'Temporary Redirect', 308: 'Permanent Redirect', 400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found',
  405: 'Method Not Allowed', 406: 'Not Acceptable', 408: 'Request Timeout', 409: 'Conflict', 410: 'Gone', 411: 'Length Required', 412: 'Precondition Failed',
  413: 'Payload Too Large', 414: 'URI Too Long', 415: 'Unsupported Media Type', 417: 'Expectation Failed', 418: "I'm a teapot", 422: 'Unprocessable Entity', 426: 'Upgrade Required',
  429: 'Too Many Requests', 431: 'Request Header Fields Too Large', 500: 'Internal Server Error', 501: 'Not Implemented', 502: 'Bad Gateway',
  503: 'Service Unavailable', 504: 'Gateway Timeout', 505: 'HTTP Version Not Supported',
};
const statusLines: string[] = [];

function statusLine(status: number): string {
  return (statusLines[status] ??= `HTTP/1.1 ${status} ${reasons[status] ?? 'Unknown'}\r\n`);
}

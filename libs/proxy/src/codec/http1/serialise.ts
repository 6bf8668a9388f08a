import { statusText, type HeaderMap, type HeaderSpelling, type RequestHead, type ResponseHead } from '@meltemi/http';
import type { ByteConnection } from '../../connection.ts';

/** How the body that follows a head is delimited. */
export const BodyFraming = {
  /** None, or by the content-length field that the head has. */
  asHeaders: 0,
  chunked: 1,
  /** By the end of the connection: HTTP/1.0 clients. */
  untilClose: 2,
  /** The protocol changes after this head. */
  upgrade: 3,
  /** CONNECT, or the 2xx to it: raw bytes follow, and no field says so. */
  tunnel: 4,
  /** No body, where one is meant to be, and no field of the head says so. */
  empty: 5,
} as const;

/** Sends a request's head. `absolute`: the target with scheme and host (send_fully_qualified_url). `key`: a Sec-WebSocket-Key of our own. @hot */
export function writeRequest(to: ByteConnection, head: RequestHead, framing: number, { absolute, proper, key = '' }: { readonly absolute: boolean; readonly proper: boolean; readonly key?: string }): void {
  const target = head.method === 'CONNECT' ? head.authority : absolute && head.path !== '*' ? `${head.scheme}://${head.authority}${head.path}` : head.path;
  const rest = key === '' ? tail(framing) : `sec-websocket-key: ${key}\r\n${tail(framing)}`;
  if (head.headers.spelling !== null || proper) return writeSpelled(to, head.headers, { line: `${head.method} ${target} HTTP/1.1\r\nhost: ${head.authority}\r\n`, rest, proper });
  // Piece by piece: joined, they would be made flat first.
  to.writeText(head.method);
  to.writeText(' ');
  to.writeText(target);
  to.writeText(' HTTP/1.1\r\nhost: ');
  to.writeText(head.authority);
  to.writeHead('\r\n', head.headers.flat, rest);
  return undefined;
}

/** Sends a response's head. `closing` adds connection: close. @hot */
export function writeResponse(to: ByteConnection, head: ResponseHead, framing: number, { closing, proper }: { readonly closing: boolean; readonly proper: boolean }): void {
  const { status, headers } = head;
  const rest = closing && framing !== BodyFraming.upgrade ? `connection: close\r\n${tail(framing)}` : tail(framing);
  if (headers.spelling !== null || proper) writeSpelled(to, headers, { line: statusLine(status), rest, proper });
  else to.writeHead(statusLine(status), headers.flat, rest);
}

/** With names as the message or the connection has them. */
function writeSpelled(to: ByteConnection, headers: HeaderMap, { line, rest, proper }: { readonly line: string; readonly rest: string; readonly proper: boolean }): void {
  to.writeText(spelled(`${line}${fieldsText(headers.flat)}${rest}`, headers.spelling, proper));
}

function fieldsText(flat: readonly string[]): string {
  let text = '';
  for (let i = 0; i < flat.length; i += 2) text += `${flat[i]}: ${flat[i + 1]}\r\n`;
  return text;
}

/** The same head with names as Proper-Case-Words, for peers that insist (header_key_format). */
function properCase(headText: string): string {
  return headText.replace(/(?<=\r\n)[^:\r\n]+(?=:)/g, properName);
}

/** As in Envoy, any character that is no letter or digit begins a word. */
function properName(name: string): string {
  return name.replace(/(?:^|[^a-z0-9])[a-z]/g, (letter) => letter.toUpperCase());
}

/** The head with names as its message was spelled, else as the connection writes them. */
function spelled(headText: string, spelling: HeaderSpelling | null, proper: boolean): string {
  if (spelling === null) return proper ? properCase(headText) : headText;
  return headText.replace(/(?<=\r\n)[^:\r\n]+(?=:)/g, (name) => spelling.names.get(name) ?? (spelling.properCaseOthers ? properName(name) : name));
}

/** The end of a chunked body. */
export function lastChunkText(trailers: HeaderMap | null): string {
  if (trailers === null) return '0\r\n\r\n';
  return `0\r\n${fieldsText(trailers.flat)}\r\n`;
}

function tail(framing: number): string {
  if (framing === BodyFraming.chunked) return 'transfer-encoding: chunked\r\n\r\n';
  if (framing === BodyFraming.empty) return 'content-length: 0\r\n\r\n';
  return framing === BodyFraming.upgrade ? 'connection: upgrade\r\n\r\n' : '\r\n';
}

const statusLines: string[] = [];

function statusLine(status: number): string {
  return (statusLines[status] ??= `HTTP/1.1 ${status} ${statusText(status)}\r\n`);
}

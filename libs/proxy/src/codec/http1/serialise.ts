import { statusText, type HeaderMap, type HeaderSpelling, type RequestHead, type ResponseHead } from '@meltemi/http';

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
} as const;

/** One string per head, latin1. `absolute`: the target with scheme and host (send_fully_qualified_url). @hot */
export function requestText(head: RequestHead, framing: number, absolute = false): string {
  const target = head.method === 'CONNECT' ? head.authority : absolute && head.path !== '*' ? `${head.scheme}://${head.authority}${head.path}` : head.path;
  let text = `${head.method} ${target} HTTP/1.1\r\nhost: ${head.authority}\r\n`;
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

/** The same head with names as Proper-Case-Words, for peers that insist (header_key_format). */
function properCase(headText: string): string {
  return headText.replace(/(?<=\r\n)[^:\r\n]+(?=:)/g, properName);
}

/** As in Envoy, any character that is no letter or digit begins a word. */
function properName(name: string): string {
  return name.replace(/(?:^|[^a-z0-9])[a-z]/g, (letter) => letter.toUpperCase());
}

/** The head with names as its message was spelled, else as the connection writes them. @hot */
export function spelled(headText: string, spelling: HeaderSpelling | null, proper: boolean): string {
  if (spelling === null) return proper ? properCase(headText) : headText;
  return headText.replace(/(?<=\r\n)[^:\r\n]+(?=:)/g, (name) => spelling.names.get(name) ?? (spelling.properCaseOthers ? properName(name) : name));
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

const statusLines: string[] = [];

function statusLine(status: number): string {
  return (statusLines[status] ??= `HTTP/1.1 ${status} ${statusText(status)}\r\n`);
}

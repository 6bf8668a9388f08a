/** A request as RFC 9112 reads it. */
export interface Meant {
  readonly method: string;
  readonly target: string;
  readonly body: string;
  /** Its whole body was there. */
  readonly complete: boolean;
}

const requestLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21\x22\x24-\x7e]+) HTTP\/1\.([01])$/;
const fieldLine = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)$/;

/**
 * What bytes mean to a reader that stops at the first thing two readers could read differently. Written apart from the proxy's
 * parser, to judge it: plain, slow, whole texts only (latin1). `closing`: a request that ends its connection is the last.
 */
export function readStrictly(bytes: string, closing = true): Meant[] {
  const found: Meant[] = [];
  let rest = bytes;
  for (;;) {
    while (rest.startsWith('\r\n')) rest = rest.slice(2);
    const end = rest.indexOf('\r\n\r\n');
    const head = end < 0 ? null : readHead(rest.slice(0, end));
    if (head === null) return found;
    const body = readBody(rest.slice(end + 4), head);
    found.push({ method: head.method, target: head.target, body: body.text, complete: body.rest !== null });
    if (body.rest === null || (closing && head.last)) return found;
    rest = body.rest;
  }
}

interface Head {
  readonly method: string;
  readonly target: string;
  readonly length: number;
  readonly chunked: boolean;
  /** No other request may follow on the connection. */
  readonly last: boolean;
}

function readHead(text: string): Head | null {
  const [first = '', ...lines] = text.split('\r\n');
  const line = requestLine.exec(first);
  const fields = lines.map((each) => fieldLine.exec(each));
  if (line === null || fields.includes(null)) return null;
  const values = (name: string) => fields.filter((field) => field?.[1]?.toLowerCase() === name).map((field) => (field?.[2] ?? '').trimEnd());
  const old = line[3] === '0';
  const lengths = values('content-length');
  const codings = values('transfer-encoding');
  if (values('host').length > 1 || (values('host').length === 0 && !old)) return null;
  if (new Set(lengths.map(Number)).size > 1 || lengths.some((length) => !/^\d{1,15}$/.test(length))) return null;
  if (codings.length > 1 || (codings.length === 1 && (codings[0]?.toLowerCase() !== 'chunked' || lengths.length > 0 || old))) return null;
  const options = values('connection').join(',').toLowerCase().split(',').map((option) => option.trim());
  return { method: line[1] ?? '', target: line[2] ?? '', length: Number(lengths[0] ?? 0), chunked: codings.length === 1, last: options.includes('close') || (old && !options.includes('keep-alive')) };
}

/** `rest` is null when the body is cut off or malformed. */
function readBody(bytes: string, head: Head): { readonly text: string; readonly rest: string | null } {
  if (!head.chunked) return { text: bytes.slice(0, head.length), rest: bytes.length < head.length ? null : bytes.slice(head.length) };
  let text = '';
  let rest = bytes;
  for (;;) {
    const size = /^([0-9A-Fa-f]{1,12})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n/.exec(rest);
    if (size === null) return { text, rest: null };
    const length = Number.parseInt(size[1] ?? '', 16);
    rest = rest.slice(size[0].length);
    if (length === 0) return { text, rest: afterTrailers(rest) };
    text += rest.slice(0, length);
    if (rest.slice(length, length + 2) !== '\r\n') return { text, rest: null };
    rest = rest.slice(length + 2);
  }
}

function afterTrailers(bytes: string): string | null {
  if (bytes.startsWith('\r\n')) return bytes.slice(2);
  const end = bytes.indexOf('\r\n\r\n');
  const lines = bytes.slice(0, Math.max(0, end)).split('\r\n');
  const framing = /^(?:content-length|transfer-encoding|host):/i;
  return end < 0 || lines.some((line) => !fieldLine.test(line) || framing.test(line)) ? null : bytes.slice(end + 4);
}

/**
 * How many requests a careless server would find in these bytes: any line end, names and lengths taken as they come, "chunked" wherever it
 * stands. What a proxy passes on must be one request to it as well.
 */
export function countCarelessly(bytes: string): number {
  let count = 0;
  let rest = bytes;
  while (rest !== '') {
    const end = /\r?\n\r?\n/.exec(rest);
    count++;
    if (end === null) return count;
    const head = rest.slice(0, end.index).split(/\r?\n/).slice(1);
    rest = rest.slice(end.index + end[0].length);
    const value = (name: string) => head.filter((line) => line.slice(0, line.indexOf(':')).toLowerCase().replace(/[^a-z-]/g, '') === name).map((line) => line.slice(line.indexOf(':') + 1));
    if (value('transfer-encoding').some((coding) => /chunked/i.test(coding))) rest = skipChunks(rest);
    else rest = rest.slice(Number.parseInt(value('content-length').at(-1) ?? '0', 10) || 0);
  }
  return count;
}

function skipChunks(bytes: string): string {
  let rest = bytes;
  for (;;) {
    const size = /^\s*([0-9a-f]*)[^\n]*\n/i.exec(rest);
    if (size === null) return '';
    const length = Number.parseInt(size[1] ?? '', 16) || 0;
    rest = rest.slice(size[0].length + length).replace(/^\r?\n/, length === 0 ? '$&' : '');
    if (length > 0) continue;
    const end = /^(?:[^\n]+\n)*?\r?\n/.exec(rest);
    return end === null ? '' : rest.slice(end[0].length);
  }
}

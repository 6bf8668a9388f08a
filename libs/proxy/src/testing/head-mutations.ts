import { Draw } from './fuzz/draw.ts';

/** Requests taken apart, so that a mutation hits what matters: line ends, framing fields, chunk sizes. */
interface Parts {
  lineEnd: string[];
  lines: string[];
  body: string;
}

const lengths = ['+5', '5,5', '5, 5', '05', '5 ', '0x5', '5;', '-1', '', '5\x0b', '18446744073709551621', '5\r\n 5', '5_', '5.0', '\xd9\xa5', '"5"', '6', '4', '5\t', '5,', ',5', '5 5'];
const codings = ['chunked', 'Chunked', 'chunked\x0b', '\x0bchunked', 'xchunked', 'chunkedx', 'chunked, identity', 'identity, chunked', 'chunked, chunked', '\tchunked', 'chunked\r\n ', 'gzip', '"chunked"', ',chunked', 'chunked,', 'identity', '', 'chunked\0', 'chunked;q=1', 'gzip, chunked', 'chunk\x00ed', 'chu\tnked'];
const names = ['Content-Length', 'content-length', 'Content-Length ', 'Content-Length\t', 'Content_Length', 'Content Length', ' Content-Length', '\tContent-Length', 'Content-Length\0', 'Content-Length\x0b', 'Content-Length\xa0', ':Content-Length', 'X:Content-Length', 'Content-Lengt\\h'];
const codingNames = ['Transfer-Encoding', 'transfer-encoding', 'Transfer-Encoding ', 'Transfer-Encoding\t', 'Transfer_Encoding', 'Transfer Encoding', ' Transfer-Encoding', '\x0bTransfer-Encoding', 'Transfer-Encoding\0', 'Transfer-Encoding\x0b', '\rTransfer-Encoding', 'Transfer-\rEncoding'];
const sizes = ['5', '05', '0x5', '5 ', ' 5', '+5', '-5', '5;', '5;a', '5;a="b"', '5;a=\n', '5\r', '5\x0b', '000000000000000000005', '10000000000000005', 'fffffffffffffff5', 'g', '', '5;\0', '5\t', '5,', '5_', '5 ;a', '6', '4'];
const ends = ['\r\n', '\n', '\r', '\r\r\n', '\n\r\n', '\r\n ', '\r\n\t', '\n\n', '\0\r\n', ' \r\n', '\x0b\r\n', '\x85\r\n', '\r\0\n'];
const versions = ['HTTP/1.1', 'HTTP/1.0', 'HTTP/1.1 ', 'HTTP/1.01', 'HTTP/01.1', 'http/1.1', 'HTTP/2.0', 'HTTP/1.2', 'HTTP/0.9', 'HTTP/1.', 'HTTP/1', 'HTTP', '', 'HTTP/1.1\t', 'HTTP /1.1', 'HTTP/1.10', 'HTTP/1.1\x0b'];
const targets = ['/', '//', '*', 'http://a/b', 'a', '/%00', '/\x80', '/a b', '/a\tb', '/#x', '?x', '/\x7f', '/\0', 'http://', 'http://a b/', '/"', '/<>', '/{}', '/%zz', '/..;/', 'a:1', 'http://a/ http://b/', '/\x0b', '/\\'];
const hosts = ['a', '', 'a b', 'a,b', 'a\tb', 'a/b', 'u@a', '[::1]', 'a:b', 'a:99999', 'a:', 'a\0', 'a\r\n b', 'a?b', 'a#b', 'a\\b', '[a', 'a]', 'a:1:2', '"a"', 'a%00', '\x80'];
const methods = ['GET', 'POST', 'get', 'GE T', 'GET\t', ' GET', 'G\0ET', 'GET\x0b', 'FOO', 'GET:', 'G(T', '', 'HEAD', 'OPTIONS', '\r\nGET', '\nGET', '\rGET'];
const noise = ['\0', '\x01', '\t', '\x0b', '\x0c', '\r', '\n', ' ', '\x7f', '\x80', '\xff', ':', ',', ';', '"', '\x1b', '\xa0', '\x85'];
const strays = ['X-A: b', 'X-A : b', ': b', 'X-A', ' folded', 'X-A:', 'X-A: b\x00', 'X-A: b\x01', 'X-A: b\x7f', 'X-Ä: b', 'X-A: \x80', '"X": b', 'X(A: b', 'Connection: content-length', 'Connection: transfer-encoding', 'Connection: host', 'Connection: close', 'Expect: 200-ok', 'TE: chunked', 'X-A: b: c', 'Keep-Alive: 5', 'Trailer: content-length'];

/** One mutated exchange: a request, and mostly a clean one behind it. The same seed gives the same bytes, but for `mark`, which stands in the targets: 12 characters, "?" first. */
export function mutatedRequests(seed: number, mark = '?00000000000'): string {
  const draw = new Draw(seed);
  const parts = draw.pick([withLength, withChunks, withoutBody])(draw, mark);
  const times = draw.below(3);
  for (let i = 0; i < times; i++) mutate(parts, draw);
  const text = parts.lines.map((line, i) => line + (parts.lineEnd[i] ?? '\r\n')).join('') + parts.body;
  return `${text}${draw.below(4) === 0 ? '' : `GET /after${mark} HTTP/1.1\r\nHost: a\r\n\r\n`}`;
}

function startLine(draw: Draw, method: string, mark: string): string {
  return `${draw.below(12) === 0 ? draw.pick(methods) : method} ${draw.below(12) === 0 ? draw.pick(targets) : `/first${mark}`} ${draw.below(12) === 0 ? draw.pick(versions) : 'HTTP/1.1'}`;
}

function assemble(lines: string[], body: string): Parts {
  return { lines: [...lines, ''], lineEnd: lines.map(() => '\r\n').concat('\r\n'), body };
}

function host(draw: Draw): string {
  return `Host: ${draw.below(15) === 0 ? draw.pick(hosts) : 'a'}`;
}

function withLength(draw: Draw, mark: string): Parts {
  return assemble([startLine(draw, 'POST', mark), host(draw), `${draw.below(8) === 0 ? draw.pick(names) : 'Content-Length'}: ${draw.below(6) === 0 ? draw.pick(lengths) : '5'}`], 'hello');
}

function withChunks(draw: Draw, mark: string): Parts {
  const end = () => (draw.below(20) === 0 ? draw.pick(ends) : '\r\n');
  const size = draw.below(4) === 0 ? draw.pick(sizes) : '5';
  const last = draw.pick(['0', '0', '0', '0', '0', '0', '00', '0;x', '-0', '0 ', '']);
  const trailer = draw.below(3) === 0 ? draw.pick(strays) + end() : '';
  const body = `${size}${end()}hello${end()}${last}${end()}${trailer}${end()}`;
  return assemble([startLine(draw, 'POST', mark), host(draw), `${draw.below(8) === 0 ? draw.pick(codingNames) : 'Transfer-Encoding'}: ${draw.below(6) === 0 ? draw.pick(codings) : 'chunked'}`], body);
}

function withoutBody(draw: Draw, mark: string): Parts {
  return assemble([startLine(draw, 'GET', mark), host(draw)], '');
}

function mutate(parts: Parts, draw: Draw): void {
  const at = draw.below(parts.lines.length);
  const line = parts.lines[at] ?? '';
  const where = draw.below(line.length + 1);
  switch (draw.below(8)) {
    case 0:
      parts.lineEnd[at] = draw.pick(ends);
      break;
    case 1:
      parts.lines[at] = line.slice(0, where) + draw.pick(noise) + line.slice(where);
      break;
    case 2:
      insert(parts, at, draw.pick(strays));
      break;
    case 3:
      insert(parts, 1 + draw.below(parts.lines.length - 1), `${draw.pick(names)}: ${draw.pick(lengths)}`);
      break;
    case 4:
      insert(parts, 1 + draw.below(parts.lines.length - 1), `${draw.pick(codingNames)}: ${draw.pick(codings)}`);
      break;
    case 5:
      if (at > 0 && at < parts.lines.length - 1) insert(parts, at, line);
      break;
    case 6:
      parts.lines[at] = line.slice(0, where) + line.slice(where + 1);
      break;
    default:
      // Mostly the fields alone are enough.
  }
}

function insert(parts: Parts, at: number, line: string): void {
  parts.lines.splice(at, 0, line);
  parts.lineEnd.splice(at, 0, '\r\n');
}

import { preparePath } from '@meltemi/http';
import { readClientHello } from '../../inspect/client-hello.ts';
import { readHttpPreface } from '../../inspect/http-preface.ts';
import { same, type FuzzTarget } from './target.ts';

/** A decision must not change with the bytes that come after it. */
function checkPrefixes(input: Buffer, at: number, read: (bytes: Buffer) => unknown): void {
  const early = JSON.stringify(read(input.subarray(0, at)));
  const late = JSON.stringify(read(input));
  if (early !== '"more"') same('more bytes gave another answer', late, early);
}

/** A hello with server name and ALPN, as openssl writes one. */
const hello = Buffer.from(
  '16030100610100005d0303' + '00'.repeat(32) + '00' + '0004' + '13011302' + '0100' + '0030' + '0000' + '000e' + '000c' + '00' + '0009' + '612e6578616d706c65' + '0010' + '000e' + '000c' + '02' + '6832' + '08' + '687474702f312e31' + '002b' + '0003' + '02' + '0304' + '0000' + '0000',
  'hex',
).toString('latin1');

export const clientHello: FuzzTarget = {
  name: 'client-hello',
  about: 'TLS ClientHello: no throw, and a decision holds whatever follows',
  seeds: [hello, hello.slice(0, 60)],
  words: ['\x16\x03\x01', '\0\0', '\0\x10', '\x02h2', '\xff\xff', '\x01\0', '\0\x05'],
  check: (input, draw) => checkPrefixes(input, draw.below(input.length + 1), readClientHello),
};

export const httpPreface: FuzzTarget = {
  name: 'http-preface',
  about: 'protocol sniffing: no throw, and a decision holds whatever follows',
  seeds: ['GET / HTTP/1.1\r\nHost: a\r\n\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'POST /a HTTP/1.0\r\n', 'SSH-2.0-x\r\n', '220 mail ESMTP\r\n'],
  words: ['\r\n', '\n', '\r', ' ', 'HTTP/1.1', 'PRI * HTTP/2.0\r\n', '\0', 'GET '],
  check: (input, draw) => checkPrefixes(input, draw.below(input.length + 1), readHttpPreface),
};

const modes = ['keep', 'reject', 'unescape-redirect', 'unescape-forward'] as const;

export const path: FuzzTarget = {
  name: 'path',
  about: 'path normalisation: no throw, done twice is done once, no dot segment and no NUL left, the query untouched',
  seeds: ['/a/b/../c/./d?x=/../y', '/%2e%2E/%2fa//b%5C..%5cc', '/%41%zz%4%41\\..\\x#f', '//a///b/..', '/..', '/a/%2e', '*', ''],
  words: ['/', '..', '.', '%2e', '%2F', '%5c', '\\', '%00', '%', '?', '#', '//', '/../', '%25', '%7e', '\x80', ' ', ';'],
  check: (input, draw) => {
    const options = { normalizePath: draw.below(4) > 0, mergeSlashes: draw.below(2) === 0, escapedSlashes: draw.pick(modes) };
    const text = input.toString('latin1');
    const once = preparePath(text, options);
    if (once === null) return;
    same('a second time changes it', preparePath(once, options) ?? 'refused', once);
    if (!text.startsWith('/')) return same('it is no path and changed', once, text);
    if (!once.startsWith('/')) throw new Error(`no "/" in front: ${once}`);
    const end = /[?#]|$/.exec(once)?.index ?? once.length;
    if (options.normalizePath && /(?:^|\/)(?:\.|%2e){1,2}(?:\/|$)/i.test(once.slice(0, end))) throw new Error(`a dot segment is left: ${once}`);
    return same('the query changed', once.slice(end), text.slice(/[?#]|$/.exec(text)?.index ?? text.length));
  },
};

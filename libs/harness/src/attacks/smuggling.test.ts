import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TwoHops } from './two-hops.ts';

// Request smuggling through two proxies: the application sees no request that both of them did not decide about and log.

const host = 'Host: web.foo';
const hidden = `GET /smuggled HTTP/1.1\r\n${host}\r\n\r\n`;
const chunked = 'Transfer-Encoding: chunked';
/** A body that is over at once for who reads chunks, and whose rest is a request. */
const zeroAndHidden = `0\r\n\r\n${hidden}`;

interface Case {
  readonly name: string;
  readonly send: string;
  /** Status with which the attacker's connection ends; unset: it is served. */
  readonly refused?: number;
  /** What the application may read, "METHOD target". */
  readonly passes?: readonly string[];
  readonly partly?: string;
  /** Stands in what the application reads. */
  readonly reads?: RegExp;
}

const request = (line: string, fields: readonly string[], body = '') => `${line} HTTP/1.1\r\n${[host, ...fields].map((field) => `${field}\r\n`).join('')}\r\n${body}`;
const post = (fields: readonly string[], body = '') => request('POST /a', fields, body);
const lengthOf = (body: string) => `Content-Length: ${body.length}`;

const twoLengths: Case[] = [
  { name: 'CL.TE: a length that covers the hidden request, and chunks', send: post([lengthOf(zeroAndHidden), chunked], zeroAndHidden), refused: 400 },
  { name: 'TE.CL: chunks that hold the hidden request, and a short length', send: post([chunked, 'Content-Length: 4'], `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`), refused: 400 },
  { name: 'TE.0: chunks after an OPTIONS with length 0', send: request('OPTIONS /a', ['Content-Length: 0', chunked], zeroAndHidden), refused: 400 },
  { name: 'CL.0: a GET with a body that is a request', send: request('GET /a', [lengthOf(hidden)], hidden), passes: ['GET /a'] },
  { name: 'CL.CL: two lengths', send: post(['Content-Length: 0', lengthOf(hidden)], hidden), refused: 400 },
  { name: 'CL.CL: the same length twice', send: post([lengthOf(hidden), lengthOf(hidden)], hidden), passes: ['POST /a'] },
  { name: 'two lengths in one field', send: post([`Content-Length: 0, ${hidden.length}`], hidden), refused: 400 },
  ...['+5', '-5', '0x5', '5 5', '5,', ',5', '5;', '1e1', '5.0', '٥', '', '18446744073709551621', '5\x0b'].map((length) => ({ name: `Content-Length: ${JSON.stringify(length)}`, send: post([`Content-Length: ${length}`], `hello${hidden}`), refused: 400 })),
  { name: 'a length with a zero in front, which is octal to some', send: post([`Content-Length: 010`], `0123456789`), passes: ['POST /a'], reads: /\r\ncontent-length: 10\r\n/ },
];

const codings: Case[] = [
  ...['chunked, chunked', 'identity, chunked', 'chunked, identity', 'xchunked', 'chunkedx', 'chunked;q=1', '"chunked"', ',chunked', 'chunked,', 'gzip', 'gzip, chunked', 'identity', '', 'chu\tnked'].map((coding) => ({ name: `TE.TE: ${JSON.stringify(coding)}`, send: post([`Transfer-Encoding: ${coding}`], zeroAndHidden), refused: 501 })),
  ...['chunked\x0b', '\x0bchunked', 'chunked\0', '\x00chunked', 'chunked\x7f', 'chunked\r', '\rchunked', '\nchunked'].map((coding) => ({ name: `TE.TE: ${JSON.stringify(coding)}`, send: post([`Transfer-Encoding: ${coding}`], zeroAndHidden), refused: 400 })),
  { name: 'TE.TE: a coding of high bytes', send: post(['Transfer-Encoding: \xa0chunked'], zeroAndHidden), refused: 501 },
  { name: 'TE.TE: two fields', send: post([chunked, 'Transfer-Encoding: identity'], zeroAndHidden), refused: 501 },
  { name: 'TE.TE: the same field twice', send: post([chunked, chunked], zeroAndHidden), refused: 501 },
  { name: 'chunks of HTTP/1.0', send: post([chunked], zeroAndHidden).replace('HTTP/1.1', 'HTTP/1.0'), refused: 400 },
  { name: 'a coding that Connection takes away', send: post([chunked, 'Connection: transfer-encoding'], `5\r\nhello\r\n0\r\n\r\n`), passes: ['POST /a'] },
  { name: 'a length that Connection takes away', send: post([lengthOf(hidden), 'Connection: content-length'], hidden), passes: ['POST /a'] },
];

const spellings: Case[] = [
  ...['Transfer-Encoding : chunked', 'Transfer-Encoding\t: chunked', ' Transfer-Encoding: chunked', '\tTransfer-Encoding: chunked', 'Transfer-Encoding\0: chunked', 'Transfer-Encoding\x0b: chunked', 'Transfer-Encoding\xa0: chunked', 'Transfer-\rEncoding: chunked', '\rTransfer-Encoding: chunked', 'Transfer Encoding: chunked', 'Transfer-Encoding', ': chunked', 'X:\r\n Transfer-Encoding: chunked', 'X: y\nTransfer-Encoding: chunked', 'X: y\rTransfer-Encoding: chunked', 'X: y\r\r\nTransfer-Encoding: chunked', 'X: y\n\r\nTransfer-Encoding: chunked', 'X: y\0', 'X: y\x1b[31m'].map((field) => ({ name: `the field ${JSON.stringify(field)}`, send: post([lengthOf(zeroAndHidden), field], zeroAndHidden), refused: 400 })),
  { name: 'an underscore makes it another field', send: post([lengthOf(zeroAndHidden), 'Transfer_Encoding: chunked'], zeroAndHidden), passes: ['POST /a'] },
  { name: 'a head that ends by a bare LF', send: `GET /a HTTP/1.1\n${host}\n\n${hidden}`, refused: 400 },
  { name: 'a head that ends by bare CRs', send: `GET /a HTTP/1.1\r${host}\r\r${hidden}`, refused: 400 },
  { name: 'a CR inside the request line', send: `GET /a\r HTTP/1.1\r\n${host}\r\n\r\n`, refused: 400 },
  { name: 'a request line in the second half of a target', send: `GET /a HTTP/1.1\r\nX: y\r\nGET /smuggled HTTP/1.1\r\n${host}\r\n\r\n`, refused: 400 },
  { name: 'two Hosts', send: `GET /a HTTP/1.1\r\n${host}\r\nHost: other\r\n\r\n`, refused: 400 },
  { name: 'a folded Host', send: `GET /a HTTP/1.1\r\nHost: web\r\n .foo\r\n\r\n`, refused: 400 },
  { name: 'no Host', send: `GET /a HTTP/1.1\r\nX: y\r\n\r\n`, refused: 400 },
];

const chunks: Case[] = [
  ...['0x5', '+5', ' 5', '5 ', '-5', '5\t', '5\x0b', '5,', '5_', 'g', '', '0000000000000005', 'fffffffffffffff5', '10000000000000005', '5;\n', '5;a\r', '5;a="\r\n"', '5;\0', '5\n', '5\r', '5;\x7f'].map((size) => ({ name: `the chunk size ${JSON.stringify(size)}`, send: post([chunked], `${size}\r\nhello\r\n${zeroAndHidden}`), refused: 400, partly: 'POST /a' })),
  ...['5', '05', '00005', '5;', '5;a', '5;a="b"', '5;a=\t'].map((size) => ({ name: `the chunk size ${JSON.stringify(size)} is fine`, send: post([chunked], `${size}\r\nhello\r\n0\r\n\r\n`), passes: ['POST /a'] })),
  { name: 'chunk data that is longer than its size', send: post([chunked], `5\r\nhelloX\r\n${zeroAndHidden}`), refused: 400, partly: 'POST /a' },
  { name: 'chunk data without its line end', send: post([chunked], `5\r\nhello0\r\n\r\n${hidden}`), refused: 400, partly: 'POST /a' },
  { name: 'a last chunk that ends by bare LFs', send: post([chunked], `0\n\n${hidden}`), refused: 400, partly: 'POST /a' },
  { name: 'a last chunk whose empty line is a bare LF', send: post([chunked], `0\r\n\n${hidden}`), refused: 400, partly: 'POST /a' },
  { name: 'trailers that frame', send: post([chunked], `0\r\nContent-Length: 5\r\n\r\n`), refused: 400, partly: 'POST /a' },
  { name: 'trailers that are folded', send: post([chunked], `0\r\nX: y\r\n z\r\n\r\n`), refused: 400, partly: 'POST /a' },
  { name: 'a request line among the trailers', send: post([chunked], `0\r\n${hidden}`), refused: 400, partly: 'POST /a' },
  { name: 'harmless trailers, and the next request', send: post([chunked], `0\r\nX: y\r\n\r\n`) + request('GET /b', []), passes: ['POST /a', 'GET /b'] },
  { name: 'chunk extensions without end', send: post([chunked], `1;${'x'.repeat(4000)}\r\na\r\n`.repeat(40)), refused: 400, partly: 'POST /a' },
];

const versions: Case[] = [
  { name: 'HTTP/0.9', send: `GET /smuggled\r\n\r\n`, refused: 400 },
  { name: 'HTTP/0.9 after a whole request', send: `${request('GET /a', [])}GET /smuggled\r\n\r\n`, refused: 400, passes: ['GET /a'] },
  { name: 'HTTP/1.0 is not served', send: `GET /a HTTP/1.0\r\n${host}\r\n\r\n`, refused: 426 },
  ...['HTTP/1.1 ', 'HTTP/1.01', 'http/1.1', 'HTTP/1.', 'HTTP/1.1\t', 'HTTP/1.10', 'HTTP /1.1', 'HTTP/1.1\x0b'].map((version) => ({ name: `the version ${JSON.stringify(version)}`, send: `GET /a ${version}\r\n${host}\r\n\r\n${hidden}`, refused: 400 })),
  { name: 'HTTP/1.2', send: `GET /a HTTP/1.2\r\n${host}\r\n\r\n`, refused: 505 },
  { name: 'a second target on the line', send: `GET /a /smuggled HTTP/1.1\r\n${host}\r\n\r\n`, refused: 400 },
  { name: 'HTTP/2 behind HTTP/1', send: `${request('GET /a', [])}PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n`, refused: 505, passes: ['GET /a'] },
];

const switches: Case[] = [
  { name: 'two requests in one write', send: request('GET /a', []) + request('GET /b', []), passes: ['GET /a', 'GET /b'] },
  { name: 'h2c: the upgrade is not passed on', send: request('GET /a', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA']), passes: ['GET /a'] },
  { name: 'h2c with a body', send: post(['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA', lengthOf(hidden)], hidden), passes: ['POST /a'] },
  { name: 'h2c among others', send: request('GET /a', ['Connection: Upgrade', 'Upgrade: websocket, h2c'], hidden), refused: 403 },
  { name: 'h2c twice', send: request('GET /a', ['Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c'], hidden), refused: 403 },
  { name: 'TLS by upgrade', send: request('GET /a', ['Connection: Upgrade', 'Upgrade: TLS/1.2'], hidden), refused: 403 },
  { name: 'a websocket that the application refuses, and a request behind it', send: request('GET /ws', ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 777', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='], hidden), refused: 200, passes: ['GET /ws'] },
  { name: 'a websocket with a body', send: post(['Connection: Upgrade', 'Upgrade: websocket', lengthOf(hidden)], hidden), passes: ['POST /a'] },
  { name: 'CONNECT', send: `CONNECT web.foo:8080 HTTP/1.1\r\nHost: web.foo:8080\r\n\r\n${hidden}`, refused: 403 },
  { name: 'CONNECT with a body', send: `CONNECT web.foo:8080 HTTP/1.1\r\nHost: web.foo:8080\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`, refused: 400 },
  ...['100-continue', 'y 100-continue', '100-continue, x', 'x', '100-continue\r\nExpect: x', 'x\r\nExpect: 100-continue'].map((expect) => ({ name: `Expect: ${JSON.stringify(expect)}`, send: post([`Expect: ${expect}`, lengthOf(hidden)], hidden), passes: ['POST /a'] })),
  { name: 'an absolute target', send: `GET http://web.foo/a HTTP/1.1\r\nHost: other.foo\r\n\r\n`, passes: ['GET /a'], reads: /\r\nhost: web.foo\r\n/ },
  ...['http:/a', 'http:///a', 'http://user@web.foo/a', 'http://web.foo\\@other/a', 'ftp://web.foo/a', 'web.foo:8080', '*', 'a', '', '//web.foo/a\0', '/a#b', '/a\x80'].map((target) => ({ name: `the target ${JSON.stringify(target)}`, send: `GET ${target} HTTP/1.1\r\n${host}\r\n\r\n`, refused: 400 })),
  { name: 'OPTIONS *', send: `OPTIONS * HTTP/1.1\r\n${host}\r\nConnection: close\r\n\r\n`, refused: 404 },
  ...['GE T', 'GET\0', 'G(T', '', 'GET\t'].map((method) => ({ name: `the method ${JSON.stringify(method)}`, send: `${method} /a HTTP/1.1\r\n${host}\r\n\r\n`, refused: 400 })),
];

let mesh: TwoHops;
before(async () => {
  mesh = await TwoHops.start(120);
});
after(() => mesh.stop());

for (const entrance of ['gateway', 'client'] as const)
  describe(entrance === 'gateway' ? 'from outside, through the gateway' : 'from a workload, through its sidecar', () => {
    for (const [number, { name, send, refused, passes = [], partly, reads }] of [...twoLengths, ...codings, ...spellings, ...chunks, ...versions, ...switches].entries())
      test(name, async () => {
        mesh.forget();
        const attacker = await mesh.connect(entrance);
        attacker.send(send);
        const responses = refused === undefined ? await attacker.responses(passes.length) : await attacker.end();
        attacker.close();
        assert.deepEqual(responses.at(-1)?.status, refused ?? 200, JSON.stringify(responses));
        if (refused === undefined) assert.equal(responses.length, passes.length);
        if (reads) assert.match(mesh.application.text, reads);
        await mesh.assertOnly(entrance, { passes, ...(partly === undefined ? {} : { partly }) }, `/canary/${number}`);
      });
  });

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Http2Attacker } from './http2-attacker.ts';
import { TwoHops } from './two-hops.ts';

// What HTTP/2 can say and HTTP/1 behind it must not: lengths that lie, line ends in names, values and pseudo fields, two names for one target.

const hidden = 'GET /smuggled HTTP/1.1\r\nhost: web.foo\r\n\r\n';

interface Case {
  readonly name: string;
  /** Pseudo fields in place of the usual ones; null leaves one out. */
  readonly pseudo?: Readonly<Record<string, string | null>>;
  readonly fields?: readonly string[];
  readonly body?: string;
  /** A status, "reset CODE" or "goaway CODE". */
  readonly outcome: string;
  readonly passes?: readonly string[];
  readonly partly?: string;
  readonly reads?: RegExp;
}

const protocolError = /^(?:reset|goaway) 1$/;
const refused = 'refused';
const usual = { ':method': 'GET', ':scheme': 'http', ':path': '/a', ':authority': 'web.foo' };
const posting = { ':method': 'POST' };

const lengths: Case[] = [
  { name: 'H2.CL: a length of 0 and a body', pseudo: posting, fields: ['content-length', '0'], body: hidden, outcome: refused, partly: 'POST /a' },
  { name: 'H2.CL: a length shorter than the body', pseudo: posting, fields: ['content-length', '5'], body: `hello${hidden}`, outcome: refused, partly: 'POST /a' },
  { name: 'H2.CL: a length longer than the body', pseudo: posting, fields: ['content-length', '500'], body: hidden, outcome: refused, partly: 'POST /a' },
  { name: 'H2.CL: a length and no body', fields: ['content-length', '500'], outcome: refused },
  { name: 'H2.CL: two lengths', pseudo: posting, fields: ['content-length', '0', 'content-length', String(hidden.length)], body: hidden, outcome: refused },
  ...['+5', '0x5', '5, 5', '', ' 5', '5 ', '-1', '99999999999999999999'].map((length) => ({ name: `H2.CL: the length ${JSON.stringify(length)}`, pseudo: posting, fields: ['content-length', length], body: 'hello', outcome: refused })),
  { name: 'a length with a zero in front', pseudo: posting, fields: ['content-length', '010'], body: '0123456789', outcome: '200', passes: ['POST /a'], reads: /\r\ncontent-length: 10\r\n/ },
  { name: 'H2.0: a body that is a request', pseudo: posting, body: hidden, outcome: '200', passes: ['POST /a'] },
  ...['chunked', 'Chunked', 'identity', 'chunked\0', ''].map((coding) => ({ name: `H2.TE: ${JSON.stringify(coding)}`, pseudo: posting, fields: ['transfer-encoding', coding], body: `0\r\n\r\n${hidden}`, outcome: refused })),
  ...['connection', 'keep-alive', 'proxy-connection', 'upgrade'].map((field) => ({ name: `the field ${field}`, fields: [field, 'transfer-encoding'], outcome: refused })),
  { name: 'te with more than trailers', fields: ['te', 'trailers, chunked'], outcome: refused },
];

const names: Case[] = [
  ...['x\r\ntransfer-encoding', 'x: y\r\ntransfer-encoding', 'transfer-encoding ', ' transfer-encoding', 'transfer-encoding:', 'transfer encoding', 'Transfer-Encoding', 'x\0', 'x\n', 'x\r', ':x', '', 'x\x80', 'foo bar', 'get /smuggled http/1.1\r\nx'].map((name) => ({ name: `the field name ${JSON.stringify(name)}`, pseudo: posting, fields: [name, 'chunked'], body: `0\r\n\r\n${hidden}`, outcome: refused })),
  ...['y\r\ntransfer-encoding: chunked', 'y\nx: z', 'y\rx: z', 'y\0', '\0', 'y\r\n', '\r\ny', ' y', 'y ', '\ty', 'y\x7f', 'y\x1b[31m'].map((value) => ({ name: `the value ${JSON.stringify(value)}`, pseudo: posting, fields: ['x', value], body: `0\r\n\r\n${hidden}`, outcome: refused })),
  { name: 'a cookie that ends the line', fields: ['cookie', 'a=b', 'cookie', 'c\r\nx: y'], outcome: refused },
];

const pseudos: Case[] = [
  ...['/a HTTP/1.1\r\nhost: web.foo\r\n\r\nGET /smuggled', '/a b', '/a\t', '/a\r\nx: y', '/a\n', '/a\0', '', 'a', '*', 'http://web.foo/a', '/a#b', '/a\x7f', '/a\x80', '/a\xa0HTTP/1.1', '/a\x85b', '/\xc0\xaf'].map((path) => ({ name: `:path ${JSON.stringify(path)}`, pseudo: { ':path': path }, outcome: refused })),
  ...['web.foo/smuggled', 'web.foo\r\nx: y', 'web.foo ', 'web foo', 'user@web.foo', 'web.foo\0', 'web.foo#', 'web.foo?', 'web.foo\\', '\xff'].map((authority) => ({ name: `:authority ${JSON.stringify(authority)}`, pseudo: { ':authority': authority }, outcome: refused })),
  ...['GET /smuggled HTTP/1.1\r\nx: y', 'GE T', 'GET\r\n', 'GET\0', '', 'GET ', 'G(T', 'GET\t', '\r\nGET'].map((method) => ({ name: `:method ${JSON.stringify(method)}`, pseudo: { ':method': method }, outcome: refused })),
  ...['http://web.foo/smuggled?', 'http\r\nx: y', 'http\0'].map((scheme) => ({ name: `:scheme ${JSON.stringify(scheme)} goes nowhere`, pseudo: { ':scheme': scheme }, outcome: /[\r\0]/.test(scheme) ? refused : '200', passes: /[\r\0]/.test(scheme) ? [] : ['GET /a'] })),
  { name: 'host and :authority differ', fields: ['host', 'other.foo'], outcome: refused },
  { name: 'two different hosts', pseudo: { ':authority': null }, fields: ['host', 'web.foo', 'host', 'other.foo'], outcome: refused },
  { name: 'host in place of :authority', pseudo: { ':authority': null }, fields: ['host', 'web.foo'], outcome: '200', passes: ['GET /a'] },
  { name: 'neither', pseudo: { ':authority': null }, outcome: '400' },
  ...[[':path', '/b'], [':method', 'POST'], [':authority', 'other.foo'], [':scheme', 'https'], [':status', '200'], [':x', 'y']].map((pair) => ({ name: `a second or strange ${pair[0]}`, fields: pair, outcome: refused })),
  { name: 'a pseudo field after an ordinary one', fields: ['x', 'y', ':protocol', 'websocket'], outcome: refused },
  { name: ':protocol without CONNECT', pseudo: { ':protocol': 'websocket' }, outcome: refused },
  { name: 'CONNECT that is not allowed', pseudo: { ':method': 'CONNECT', ':path': null, ':scheme': null, ':authority': 'web.foo:8080' }, outcome: refused },
  { name: 'CONNECT with a path', pseudo: { ':method': 'CONNECT', ':authority': 'web.foo:8080' }, outcome: refused },
  { name: 'TRACE', pseudo: { ':method': 'TRACE' }, outcome: '200', passes: ['TRACE /a'] },
];

const trailersCases: readonly (readonly [string, readonly string[]])[] = [
  ['a pseudo field', [':path', '/smuggled']], ['a length', ['content-length', '5']], ['a coding', ['transfer-encoding', 'chunked']], ['a line end', ['x', 'y\r\n\r\nGET /smuggled HTTP/1.1']], ['a line end in a name', ['x\r\n', 'y']],
];

let mesh: TwoHops;
before(async () => {
  mesh = await TwoHops.start(121);
});
after(() => mesh.stop());

for (const entrance of ['gateway', 'client', 'sidecar'] as const)
  describe(`at the ${entrance}`, () => {
    for (const [number, { name, pseudo = {}, fields = [], body, outcome, passes = [], partly, reads }] of [...lengths, ...names, ...pseudos].entries())
      test(name, async () => {
        mesh.forget();
        const attacker = new Http2Attacker(await mesh.connect(entrance));
        const flat = Object.entries({ ...usual, ...pseudo }).flatMap(([key, value]) => (value === null ? [] : [key, value]));
        attacker.request(1, [...flat, ...fields], body ?? null);
        const seen = await attacker.outcome(1);
        attacker.close();
        if (outcome === refused) assert.match(seen, protocolError);
        else assert.equal(seen, outcome);
        if (reads) assert.match(mesh.application.text, reads);
        await mesh.assertOnly(entrance, { passes, ...(partly === undefined ? {} : { partly }) }, `/canary/${number}`);
      });

    for (const [number, [name, fields]] of trailersCases.entries())
      test(`trailers with ${name}`, async () => {
        mesh.forget();
        const attacker = new Http2Attacker(await mesh.connect(entrance));
        attacker.trailed(1, Object.entries({ ...usual, ...posting }).flat(), fields);
        assert.match(await attacker.outcome(1), protocolError);
        attacker.close();
        await mesh.assertOnly(entrance, { passes: [], partly: 'POST /a' }, `/canary/trailers/${number}`);
      });
  });

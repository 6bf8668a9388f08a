import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { echoTarget } from './raw-application.ts';
import { TwoHops } from './two-hops.ts';

// A hostile or confused application: what it says belongs to the one request it answers, and to nobody else.

const stolen = 'HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nstolen';

interface Case {
  readonly name: string;
  readonly method?: string;
  readonly answer: string;
  /** 502: what came cannot be read. */
  readonly status: number;
  readonly body?: string;
}

const answer = (fields: string, body = '', line = 'HTTP/1.1 200 OK') => `${line}\r\n${fields}\r\n${body}`;
const unreadable: Case[] = [
  ['both lengths and chunks', answer('content-length: 5\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${stolen}`)],
  ['two lengths', answer('content-length: 0\r\ncontent-length: 5\r\n', stolen)],
  ['a length that is no number', answer('content-length: 0x5\r\n', 'hello')],
  ['a coding that is not chunked', answer('transfer-encoding: xchunked\r\n', `0\r\n\r\n${stolen}`)],
  ['chunks twice', answer('transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n', `0\r\n\r\n${stolen}`)],
  ['chunks in HTTP/1.0', answer('transfer-encoding: chunked\r\n', '0\r\n\r\n', 'HTTP/1.0 200 OK')],
  ['a blank before the colon', answer('content-length : 5\r\n', 'hello')],
  ['a folded field', answer('x: y\r\n z\r\ncontent-length: 0\r\n')],
  ['a bare LF', answer('x: y\ncontent-length: 0\r\n')],
  ['a bare CR', answer('x: y\rset-cookie: a=b\r\ncontent-length: 0\r\n')],
  ['a NUL', answer('x: y\0\r\ncontent-length: 0\r\n')],
  ['no version', `200 OK\r\n\r\n${stolen}`],
  ['HTTP/2 in the line', answer('content-length: 0\r\n', '', 'HTTP/2 200 OK')],
  ['a status of two digits', answer('content-length: 0\r\n', '', 'HTTP/1.1 20 OK')],
  ['a status below 100', answer('content-length: 0\r\n', '', 'HTTP/1.1 099 OK')],
  ['101 that nobody asked for', `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n${stolen}`],
  ['204 with a length', answer('content-length: 5\r\n', 'hello', 'HTTP/1.1 204 No Content')],
  ['a flood of interim responses', `HTTP/1.1 103 Early Hints\r\n\r\n`.repeat(70) + stolen],
  ['a head without end', `HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(200)}\r\n`],
].map(([name = '', text = '']) => ({ name, answer: text, status: 502 }));

const cut: Case[] = [
  { name: 'a second response behind the first', answer: `HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello${stolen}`, status: 200, body: 'hello' },
  { name: 'a body behind the answer to HEAD', method: 'HEAD', answer: `HTTP/1.1 200 OK\r\ncontent-length: ${stolen.length}\r\n\r\n${stolen}`, status: 200 },
  { name: 'a body behind 304', answer: `HTTP/1.1 304 Not Modified\r\ncontent-length: ${stolen.length}\r\n\r\n${stolen}`, status: 304 },
  { name: 'a body behind 204', answer: `HTTP/1.1 204 No Content\r\n\r\n${stolen}`, status: 204 },
  { name: 'interim responses before it', answer: `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`, status: 200, body: 'ok' },
  { name: 'an extension of a chunk', answer: answer('transfer-encoding: chunked\r\n', '5;a=b\r\nhello\r\n0\r\n\r\n'), status: 200, body: 'hello' },
  { name: 'a reason with a line of its own', answer: 'HTTP/1.1 200 OK set-cookie: a=b\r\ncontent-length: 0\r\n\r\n', status: 200, body: '' },
];

let mesh: TwoHops;
before(async () => {
  mesh = await TwoHops.start(122);
});
after(() => mesh.stop());

for (const entrance of ['gateway', 'client'] as const)
  describe(`through the ${entrance}`, () => {
    for (const [number, { name, method = 'GET', answer: text, status, body }] of [...unreadable, ...cut].entries())
      test(name, async () => {
        mesh.forget();
        mesh.application.answer = (target, count, socket) => (target === '/attack' ? text : echoTarget(target, count, socket));
        const victim = await mesh.connect(entrance);
        victim.send(`${method} /attack HTTP/1.1\r\nhost: web.foo\r\n\r\n`);
        await waitFor('a response', () => / [2-5]\d\d [^\r]*\r\n[^]*\r\n\r\n/.test(victim.received), { deadlineMs: 5000, everyMs: 1 });
        victim.send('GET /next HTTP/1.1\r\nhost: web.foo\r\n\r\n');
        await waitFor('the end or the next answer', () => victim.closed || victim.received.endsWith('/next'), { deadlineMs: 5000, everyMs: 1 });
        assert.match(victim.received.replaceAll(/^HTTP\/1\.1 1\d\d [^]*?\r\n\r\n/gm, ''), new RegExp(`^HTTP/1.1 ${status} `));
        assert.doesNotMatch(victim.received, /stolen/);
        assert.doesNotMatch(victim.received, /^set-cookie/im);
        if (body !== undefined) assert.equal(victim.parse()[0]?.body, body);
        victim.close();
        const requests = mesh.application.requests.map((request) => `${request.method} ${request.target}`).filter((one) => one === 'GET /next');
        await mesh.assertOnly(entrance, { passes: [`${method} /attack`, ...requests] }, `/canary/${number}`);
      });

    test('an answer before the end of the request: what is left of it is no request', async () => {
      mesh.forget();
      mesh.application.answer = echoTarget;
      mesh.application.onHead = (head) => (head.startsWith('POST /early') ? 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok' : null);
      const attacker = await mesh.connect(entrance);
      const hidden = 'GET /smuggled HTTP/1.1\r\nhost: web.foo\r\n\r\n';
      attacker.send(`POST /early HTTP/1.1\r\nhost: web.foo\r\ncontent-length: ${hidden.length + 5}\r\n\r\nhello`);
      const [early] = await attacker.responses(1);
      assert.equal(early?.body, 'ok');
      assert.match(early?.head ?? '', /connection: close/);
      attacker.send(hidden);
      assert.equal((await attacker.end()).length, 1);
      mesh.application.onHead = null;
      await mesh.assertOnly(entrance, { passes: [], partly: 'POST /early' }, '/canary/early');
    });

    test('after 101 the bytes are a tunnel, and no request of it is taken for one', async () => {
      mesh.forget();
      mesh.application.answer = (target, count, socket) => (target === '/ws' ? 'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nhello' : echoTarget(target, count, socket));
      const attacker = await mesh.connect(entrance);
      attacker.send('GET /ws HTTP/1.1\r\nhost: web.foo\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
      await waitFor('the tunnel', () => attacker.received.endsWith('hello'), { deadlineMs: 5000, everyMs: 1 });
      attacker.send('\x81\x05howdy');
      await waitFor('the bytes', () => mesh.application.text.endsWith('\x81\x05howdy'), { deadlineMs: 5000, everyMs: 1 });
      attacker.close();
      await waitFor('an entry in the log', () => mesh.decided('sidecar').length === 1, { deadlineMs: 5000, everyMs: 1 });
      assert.equal(mesh.decided('sidecar')[0]?.responseCode, 101);
    });
  });

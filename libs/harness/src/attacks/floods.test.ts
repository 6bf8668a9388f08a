import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { frame, getFields, headersFrame, literals, settingsFrame, word } from '@meltemi/proxy/testing';
import { Http2Attacker, windowUpdate } from './http2-attacker.ts';
import { echoTarget } from './raw-application.ts';
import { TwoHops } from './two-hops.ts';

// Bombs and floods at the gateway: whoever sends one loses the connection or the request, and everybody else is served meanwhile and after.

const rules = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: foo}
spec:
  hosts: ["*"]
  gateways: [gw]
  http:
  - match: [{uri: {regex: "/(a+)+b"}}]
    directResponse: {status: 418}
  - match: [{headers: {x-text: {regex: "(x|xx|xxx)+y(.*a){12}"}}}]
    directResponse: {status: 418}
  - route: [{destination: {host: web.foo.svc.cluster.local, port: {number: 8080}}}]
`;

const asking = (path: string) => getFields.map((text) => (text === '/' ? path : text === 'a.example' ? 'web.foo' : text));
const enhanceYourCalm = 11;

let mesh: TwoHops;
before(async () => {
  mesh = await TwoHops.start(137, rules);
});
after(() => mesh.stop());

async function bystanderServed(): Promise<void> {
  const bystander = await mesh.connect('gateway');
  bystander.send('GET /bystander HTTP/1.1\r\nhost: web.foo\r\n\r\n');
  assert.equal((await bystander.responses(1))[0]?.body, '/bystander');
  bystander.close();
}

const http2 = async (...settings: readonly number[]) => new Http2Attacker(await mesh.connect('gateway'), ...settings);

describe('HTTP/2', () => {
  test('a header that is small on the wire and large in memory', async () => {
    const attacker = await http2();
    // a literal with indexing, then the same entry of the table fifteen thousand times
    const bomb = Buffer.concat([literals(...asking('/a')), Buffer.from([0x40, 1, 120, 127, 0xa1, 0x1e]), Buffer.alloc(4000, 'x'), Buffer.alloc(12_000, 0xbe)]);
    attacker.send(frame(1, 1, 1, bomb.subarray(0, 16_000)) + frame(9, 4, 1, bomb.subarray(16_000)));
    assert.match(await attacker.outcome(1), /^(?:reset|goaway) (?:1|11)$/);
    attacker.close();
    await bystanderServed();
  });

  const floods: readonly (readonly [name: string, bytes: () => string])[] = [
    ['CONTINUATION without end', () => frame(1, 1, 1, literals(...asking('/a'))) + frame(9, 0, 1, literals('x', 'y'.repeat(1000))).repeat(400)],
    ['CONTINUATION of nothing', () => frame(1, 1, 1, literals(...asking('/a'))) + frame(9, 0, 1).repeat(400)],
    ['rapid reset', () => Array.from({ length: 600 }, (_, i) => headersFrame(2 * i + 1, asking('/reset')) + frame(3, 0, 2 * i + 1, word(8))).join('')],
    ['resets that the proxy is made to send', () => Array.from({ length: 600 }, (_, i) => headersFrame(2 * i + 1, asking('/reset'), 4) + windowUpdate(2 * i + 1, 0)).join('')],
    ['empty DATA', () => headersFrame(1, asking('/a').with(1, 'POST'), 4) + frame(0, 0, 1).repeat(400)],
    ['WINDOW_UPDATE', () => windowUpdate(0, 1).repeat(2000)],
    ['PRIORITY', () => frame(2, 0, 1, [0, 0, 0, 3, 1]).repeat(2000)],
  ];
  for (const [name, bytes] of floods)
    test(name, async () => {
      const attacker = await http2();
      attacker.send(bytes());
      assert.equal(await attacker.ended(), enhanceYourCalm);
      await bystanderServed();
    });

  for (const [name, bytes] of [['PING', frame(6, 0, 0, '12345678')], ['SETTINGS', settingsFrame()]] as const)
    test(`${name} whose answers are not read`, async () => {
      const client = await mesh.connect('gateway');
      const attacker = new Http2Attacker(client);
      client.socket.pause();
      let gone = false;
      client.socket.on('close', () => (gone = true));
      const flood = bytes.repeat(20_000);
      for (let i = 0; i < 400 && !gone; i++) {
        attacker.send(flood);
        await waitFor('room', () => gone || client.socket.writableLength < 4 * flood.length, { deadlineMs: 10_000, everyMs: 1 });
      }
      assert.equal(gone, true);
      await bystanderServed();
    });

  test('answers that nobody takes: no window', async () => {
    mesh.application.answer = (target, count, socket) => (target === '/big' ? `HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n${'x'.repeat(200_000)}` : echoTarget(target, count, socket));
    const attacker = await http2(4, 0);
    for (let i = 0; i < 50; i++) attacker.request(2 * i + 1, asking('/big'));
    await bystanderServed();
    await waitFor('the requests', () => mesh.decided('gateway').length > 0 || mesh.application.requests.filter(({ target }) => target === '/big').length >= 50, { deadlineMs: 5000, everyMs: 5 });
    await bystanderServed();
    attacker.close();
    mesh.application.answer = echoTarget;
    await bystanderServed();
  });
});

describe('HTTP/1', () => {
  const fields = (count: number, field: (i: number) => string) => `GET /a HTTP/1.1\r\nhost: web.foo\r\n${Array.from({ length: count }, (_, i) => `${field(i)}\r\n`).join('')}\r\n`;
  const refused: readonly (readonly [name: string, text: () => string, status: number])[] = [
    ['many small fields', () => fields(200, (i) => `x-${i}: y`), 431],
    ['one field without end', () => fields(1, () => `x: ${'y'.repeat(100_000)}`), 431],
    ['one name without end', () => fields(1, () => `${'x'.repeat(100_000)}: y`), 431],
    ['a target without end', () => `GET /${'a'.repeat(100_000)} HTTP/1.1\r\nhost: web.foo\r\n\r\n`, 431],
    ['a head that does not end', () => `GET /a HTTP/1.1\r\nhost: web.foo\r\n${'x: y\r\n'.repeat(20_000)}`, 431],
    ['a method without end', () => `${'A'.repeat(100_000)} / HTTP/1.1\r\n`, 431],
    ['trailers without end', () => `POST /a HTTP/1.1\r\nhost: web.foo\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${'x: y\r\n'.repeat(20_000)}\r\n`, 431],
  ];
  for (const [name, text, status] of refused)
    test(name, async () => {
      const attacker = await mesh.connect('gateway');
      attacker.send(text());
      assert.equal((await attacker.end()).at(-1)?.status, status);
      await bystanderServed();
    });

  const served: readonly (readonly [name: string, text: () => string, status: number])[] = [
    ['thousands of cookies', () => fields(1, () => `cookie: ${Array.from({ length: 5000 }, (_, i) => `a${i}=b`).join('; ')}`), 200],
    ['thousands of query parameters', () => `GET /a?${'a=b&'.repeat(10_000)} HTTP/1.1\r\nhost: web.foo\r\n\r\n`, 200],
    ['a body of chunks of one byte', () => `POST /a HTTP/1.1\r\nhost: web.foo\r\ntransfer-encoding: chunked\r\n\r\n${'1\r\nx\r\n'.repeat(20_000)}0\r\n\r\n`, 200],
    ['empty lines before a request', () => `${'\r\n'.repeat(50_000)}GET /a HTTP/1.1\r\nhost: web.foo\r\n\r\n`, 200],
    ['dot segments by the thousand', () => `GET /${'a/../'.repeat(8000)}b HTTP/1.1\r\nhost: web.foo\r\n\r\n`, 200],
    ['a path that makes a backtracking matcher try for ever', () => `GET /${'a'.repeat(30_000)}c HTTP/1.1\r\nhost: web.foo\r\n\r\n`, 200],
    ['a header that does', () => fields(1, () => `x-text: ${'x'.repeat(30_000)}z`), 200],
    ['a header that does, with a beginning that fits', () => fields(1, () => `x-text: ${'x'.repeat(100)}y${'a'.repeat(11)}${'b'.repeat(20_000)}`), 200],
  ];
  for (const [name, text, status] of served)
    test(`${name}: served as any other`, async () => {
      const attacker = await mesh.connect('gateway');
      attacker.send(text());
      assert.equal((await attacker.responses(1))[0]?.status, status);
      attacker.close();
      await bystanderServed();
    });

  test('connections that say nothing, or half a head, keep nobody waiting', async () => {
    const slow = await Promise.all(Array.from({ length: 200 }, () => mesh.connect('gateway')));
    for (const [i, attacker] of slow.entries()) attacker.send(i % 2 === 0 ? 'GET /a HTTP/1.1\r\nx: ' : `POST /slow HTTP/1.1\r\nhost: web.foo\r\ncontent-length: 100\r\n\r\nx`);
    await bystanderServed();
    for (const attacker of slow) attacker.close();
    await bystanderServed();
  });

  test('matching takes time in proportion to the text', async () => {
    const attacker = await mesh.connect('gateway');
    const once = async (length: number) => {
      attacker.received = '';
      const begun = performance.now();
      attacker.send(`GET /${'a'.repeat(length)}c HTTP/1.1\r\nhost: web.foo\r\n\r\n`.repeat(10));
      await attacker.responses(10);
      return performance.now() - begun;
    };
    const best = async (length: number) => Math.min(await once(length), await once(length), await once(length), await once(length));
    await best(2000);
    const [short, long] = [await best(2500), await best(20_000)];
    attacker.close();
    // eight times the text: a quadratic matcher would take 64 times as long
    assert.ok(long / short < 32, `${short} ms, then ${long} ms`);
  });
});

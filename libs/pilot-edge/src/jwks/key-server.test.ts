import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import { after, before, test } from 'node:test';
import { httpKeyServer } from './key-server.ts';

const keys = httpKeyServer();
const limits = { timeoutMs: 500, signal: new AbortController().signal };
let server: Server;
let base = '';

before(async () => {
  server = createServer((request, response) => {
    if (request.url === '/jwks') response.end('{"keys":[]}');
    else if (request.url === '/moved') response.writeHead(302, { location: '/jwks' }).end();
    else if (request.url === '/big') response.end('x'.repeat(2 * 1024 * 1024));
    else if (request.url === '/broken') response.writeHead(500).end('no');
    // everything else is never answered
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  base = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
});

after(async () => {
  await keys.close();
  server.closeAllConnections();
  server.close();
});

test('a document is read', async () => assert.equal(await keys.get(`${base}/jwks`, limits), '{"keys":[]}'));
test('a name is looked up', async () => assert.equal(await keys.get(`${base.replace('127.0.0.1', 'localhost')}/jwks`, limits), '{"keys":[]}'));
test('redirects are not followed', () => assert.rejects(keys.get(`${base}/moved`, limits), /answers 302/));
test('an error is none', () => assert.rejects(keys.get(`${base}/broken`, limits), /answers 500/));
test('a document beyond a megabyte is given up', () => assert.rejects(keys.get(`${base}/big`, limits)));
test('a server that is silent is given up', () => assert.rejects(keys.get(`${base}/silent`, limits), { name: 'TimeoutError' }));
test('whoever stops ends the wait', () => assert.rejects(keys.get(`${base}/silent`, { timeoutMs: 60_000, signal: AbortSignal.abort() }), { name: 'AbortError' }));
test('addresses where clouds keep credentials are not asked', async () => {
  for (const host of ['169.254.169.254', '[fe80::1]', '[::ffff:169.254.169.254]']) await assert.rejects(keys.get(`http://${host}/latest`, limits), /may come from/);
});

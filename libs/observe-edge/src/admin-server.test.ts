import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { AdminServer, isLocal } from './admin-server.ts';

const errors: unknown[] = [];
const server = new AdminServer({ title: 'test <admin>', maxBodyBytes: 8, handlerTimeoutMs: 50, onError: (error) => errors.push(error) });
let port = 0;

before(async () => {
  server.route({ method: 'POST', path: '/logging', description: 'sets levels', handle: ({ query, body }) => ({ body: `${query.get('level')} ${body}` }) });
  server.route({ method: 'GET', path: '/debug/*', description: 'anything below', handle: ({ path }) => ({ body: path }) });
  server.route({ method: 'GET', path: '/throws', description: '', handle: () => { throw new Error('broken handler'); } });
  server.route({ method: 'GET', path: '/hangs', description: '', handle: () => new Promise(() => {}) });
  port = (await server.listen({ host: '127.0.0.1', port: 0 })).port;
});
after(() => server.stop());

function call(method: string, path: string, options: { body?: string; headers?: Record<string, string> } = {}): Promise<{ status: number; body: string; allow: string | undefined }> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: '127.0.0.1', port, method, path, headers: options.headers }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => (body += chunk.toString()));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, allow: response.headers.allow }));
    });
    outgoing.on('error', reject);
    outgoing.end(options.body);
  });
}

test('routes get query and body; a path with /* takes what is below', async () => {
  assert.equal((await call('POST', '/logging?level=debug', { body: 'x' })).body, 'debug x');
  assert.equal((await call('GET', '/debug/syncz?x=1')).body, '/debug/syncz');
});

test('unknown paths are 404, wrong methods 405 with Allow', async () => {
  assert.equal((await call('GET', '/nope')).status, 404);
  const wrong = await call('GET', '/logging');
  assert.deepEqual([wrong.status, wrong.allow], [405, 'POST']);
});

test('a body over the limit is 413, a throwing handler 500, a hanging one 503', async () => {
  assert.equal((await call('POST', '/logging', { body: '123456789' })).status, 413);
  assert.equal((await call('GET', '/throws')).status, 500);
  assert.match(String(errors[0]), /broken handler/);
  assert.equal((await call('GET', '/hangs')).status, 503);
});

test('on loopback a foreign Host or a POST from a foreign page is refused', async () => {
  assert.equal((await call('GET', '/', { headers: { host: 'evil.example' } })).status, 403);
  assert.equal((await call('POST', '/logging', { headers: { origin: 'https://evil.example' } })).status, 403);
  assert.equal((await call('POST', '/logging', { headers: { host: 'localhost:1', origin: 'http://localhost:1' } })).status, 200);
});

test('the index lists the routes and escapes its title', async () => {
  const { body } = await call('GET', '/');
  assert.match(body, /test &lt;admin&gt;/);
  assert.match(body, /POST \/logging: sets levels/);
});

test('other machines get health and metrics alone; who is on this one gets all', () => {
  for (const socket of [{ remoteAddress: '127.0.0.1', localAddress: '127.0.0.1' }, { remoteAddress: '::ffff:127.0.0.1' }, { remoteAddress: '10.0.0.5', localAddress: '10.0.0.5' }, {}]) assert.equal(isLocal(socket), true);
  for (const socket of [{ remoteAddress: '10.0.0.6', localAddress: '10.0.0.5' }, { remoteAddress: '::ffff:10.0.0.6', localAddress: '::ffff:10.0.0.5' }]) assert.equal(isLocal(socket), false);
});

test('on a Unix socket only its owner asks; one that answers, and a file, stay as they are', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'admin-'));
  const first = new AdminServer({ title: 'socket' });
  t.after(async () => {
    await first.stop();
    rmSync(dir, { recursive: true, force: true });
  });
  const path = join(dir, 'admin.sock');
  first.route({ method: 'GET', path: '/debug', description: 'all', handle: () => ({ body: 'everything' }) });
  await first.listen({ host: `unix:${path}`, port: 0 });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const body = await new Promise<string>((resolve, reject) => request({ socketPath: path, path: '/debug' }, (response) => response.on('data', (data: Buffer) => resolve(data.toString()))).on('error', reject).end());
  assert.equal(body, 'everything');
  await assert.rejects(new AdminServer({ title: 'second' }).listen({ host: `unix:${path}`, port: 0 }), /another program already serves .*admin\.sock/);
  const file = join(dir, 'notes');
  writeFileSync(file, 'precious');
  await assert.rejects(new AdminServer({ title: 'third' }).listen({ host: `unix:${file}`, port: 0 }), /is no socket/);
  await first.stop();
  assert.equal(existsSync(path), false);
});

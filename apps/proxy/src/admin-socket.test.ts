import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bootstrap, httpListener, route } from './testing/bootstrap.ts';
import { runToEnd, startProxy } from './testing/proxy-process.ts';

let dir = '';
before(() => (dir = mkdtempSync(join(tmpdir(), 'admin-'))));
after(() => rmSync(dir, { recursive: true, force: true }));

const config = () => bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')] })], []);

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    http.get({ socketPath, path, headers: { host: 'localhost' } }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (part: string) => (body += part)).on('end', () => resolve(`${response.statusCode} ${body}`));
    }).on('error', reject);
  });
}

test("Envoy's admin.address.pipe: pages for the owner alone, and no port", async () => {
  const [socket, file] = [join(dir, 'deep/admin.sock'), join(dir, 'address')];
  const asked = { ...config(), admin: { address: { pipe: { path: socket } } } };
  await using proxy = await startProxy(asked, { args: ['--admin-address-path', file] });
  assert.equal(await get(socket, '/ready'), '200 LIVE\n');
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  assert.equal(readFileSync(file, 'utf8'), socket);
  assert.throws(() => proxy.port('admin'));
  const second = await runToEnd(['--config-yaml', JSON.stringify({ admin: { address: { pipe: { path: socket } } } })]);
  assert.deepEqual([second.code, /another program already serves/.test(second.err)], [1, true], second.err);
  await proxy.stop('SIGKILL');
  await using next = await startProxy(asked, {});
  assert.equal(await get(socket, '/ready'), '200 LIVE\n', `one that was left behind is replaced: ${next.err()}`);
});

test('--admin-socket takes the place of the port that the bootstrap names', async () => {
  const socket = join(dir, 'flag.sock');
  await using proxy = await startProxy(config(), { args: ['--admin-socket', socket] });
  assert.match(await get(socket, '/server_info'), /^200 \{/);
  assert.throws(() => proxy.port('admin'));
});

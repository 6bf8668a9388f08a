import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { waitFor } from '@meltemi/base';
import { parse } from 'yaml';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, filter, httpListener, route, typeOf } from './testing/bootstrap.ts';
import { request } from './testing/client.ts';
import { runToEnd, startProxy, temporaryFolder, writeBootstrap } from './testing/proxy-process.ts';

const repo = fileURLToPath(new URL('../../..', import.meta.url));
const samples = join(repo, 'deploy/samples/filters');
const contract = '@meltemi/proxy/filter';
const moduleType = 'type.googleapis.com/meltemi.filters.http.module.v1.Module';
let dir: string;
let app: Backend;

before(async () => {
  dir = temporaryFolder();
  app = await backend('app');
});
after(async () => {
  await app.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The sample's bootstrap, on ports of our own. */
function sample(): unknown {
  return parse(readFileSync(join(samples, 'bootstrap.yaml'), 'utf8'), (key, value: unknown) => (key !== 'port_value' ? value : value === 8000 ? app.port : 0));
}

const own = (module: string, config = {}, chain = {}) => bootstrap([httpListener({ chain, routes: [route({ prefix: '/' }, 'app')], filters: [filter('mine', moduleType, { module, config })] })], [cluster('app', [app.port])]);

function bundle(): string {
  execFileSync(process.execPath, [join(repo, 'tools/build/bundle.ts'), join(dir, 'dist')], { cwd: join(repo, 'apps/proxy'), stdio: 'pipe' });
  return join(dir, 'dist/main.js');
}

for (const kind of ['sources', 'bundle'])
  test(`the sample filter runs in every worker, from the program's ${kind}`, async () => {
    await using proxy = await startProxy(sample(), { args: ['--allow-filters-from', samples, '--concurrency', '2'], ...(kind === 'bundle' && { program: bundle() }) });
    for (let i = 0; i < 4; i++) {
      const reply = await request(proxy.port('web'), { headers: { 'x-api-key': '3f9c', 'x-key-owner': 'mallory' } });
      assert.deepEqual([reply.status, reply.seen().headers['x-key-owner'], reply.seen().headers['x-api-key']], [200, 'alice', undefined]);
    }
    const denied = await request(proxy.port('web'), { headers: { 'x-api-key': 'guessed' } });
    assert.deepEqual([denied.status, denied.body], [401, 'a known key is needed\n']);
    assert.equal((await request(proxy.port('web'), { path: '/health' })).status, 200);
    assert.match((await request(proxy.port('admin'), { path: '/stats' })).body, /^http\.web\.api_keys\.denied: 1$/m);
  });

test('a filter that throws ends one stream; one that throws later harms nobody else', async () => {
  writeFileSync(join(dir, 'faulty.ts'), `
    import { FilterEvents, FilterStatus, HttpStreamFilter, type RequestHead, type StreamControls } from '${contract}';
    class Faulty extends HttpStreamFilter {
      override decodeHead(stream: StreamControls, head: RequestHead): number {
        if (head.path === '/throw') throw new Error('thrown on purpose');
        if (head.path === '/later') setTimeout(() => { throw new Error('thrown later'); }, 1);
        if (head.path === '/promise') void Promise.resolve().then(() => { throw new Error('rejected'); });
        return FilterStatus.continue;
      }
    }
    export default { name: 'faulty', bind: () => ({ events: FilterEvents.decodeHead, create: () => new Faulty() }) };
  `);
  await using proxy = await startProxy(own('./faulty.ts'), { args: ['--allow-filters-from', dir] });
  assert.equal((await request(proxy.port('web'), { path: '/throw' })).status, 500);
  assert.equal((await request(proxy.port('web'), { path: '/later' })).status, 200);
  assert.equal((await request(proxy.port('web'), { path: '/promise' })).status, 200);
  await waitFor('both strays to be logged', () => proxy.err().includes('thrown later') && proxy.err().includes('rejected'));
  assert.equal((await request(proxy.port('web'), { path: '/fine' })).status, 200);
  assert.match(proxy.err(), /thrown on purpose/);
  assert.doesNotMatch(proxy.err(), /worker ended/);
});

test('a bootstrap with a module that may not be loaded, or refuses its settings, is refused by name', async () => {
  const validate = async (config: unknown, args: readonly string[]) => (await runToEnd(['-c', writeBootstrap(dir, config), '--mode', 'validate', ...args])).err;
  const at = 'static_resources\\.listeners\\[0\\]\\.filter_chains\\[0\\]\\.filters\\[0\\]\\.typed_config\\.http_filters\\[0\\]\\.typed_config';
  assert.match(await validate(own('./api-keys.ts'), []), new RegExp(`${at}\\.module: \\./api-keys\\.ts: this proxy loads no modules`));
  assert.match(await validate(own(join(samples, 'api-keys.ts')), ['--allow-filters-from', dir]), new RegExp(`${at}\\.module: .* outside the folders`));
  assert.match(await validate(own('./api-keys.ts', { header: 'X Y' }), ['--allow-filters-from', samples]), new RegExp(`${at}\\.config\\.header: must be a field name`));
  const gone = { filename: join(dir, 'gone.pem') };
  const chain = { transport_socket: filter('tls', typeOf.downstreamTls, { common_tls_context: { tls_certificates: [{ certificate_chain: gone, private_key: gone }] } }) };
  assert.match(await validate(own('./api-keys.ts', {}, chain), ['--allow-filters-from', samples]), /listener "web": .*gone\.pem/);
  assert.match(await validate(own('./x.ts'), ['--allow-filters-from', join(dir, 'none')]), /--allow-filters-from: .*none/);
});

import assert from 'node:assert/strict';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '@meltemi/base';
import { backend, type Backend } from './testing/backend.ts';
import { bootstrap, cluster, fileLog, filter, httpListener, route, tcpListener, typeOf } from './testing/bootstrap.ts';
import { exchange, request } from './testing/client.ts';
import { startProxy, temporaryFolder, type RunningProxy } from './testing/proxy-process.ts';

let dir: string;
let app: Backend;
let proxy: RunningProxy;

const inline = (text: string) => ({ log_format: { text_format_source: { inline_string: text } } });

before(async () => {
  dir = temporaryFolder();
  app = await backend('app');
  const log = (name: string, more = {}, filterOf = {}) => fileLog(join(dir, name), more, filterOf);
  const access_log = [
    log('default.log'),
    log('text.log', inline('%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL% %RESPONSE_CODE% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_HOST% %UPSTREAM_CLUSTER% %ROUTE_NAME% %DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT% %RESP(X-BACKEND)% %REQ(USER-AGENT):4% %START_TIME(%s)%\n')),
    log('json.log', { log_format: { json_format: { method: '%REQ(:METHOD)%', code: '%RESPONSE_CODE%', duration: '%DURATION%', missing: '%REQ(x-none)%', nested: { flags: '%RESPONSE_FLAGS%', both: '%REQ(:PATH)%-%RESPONSE_CODE%' } } } }),
    log('errors.log', inline('%REQ(:PATH)%\n'), { filter: { status_code_filter: { comparison: { op: 'GE', value: { default_value: 400, runtime_key: 'x' } } } } }),
    log('header.log', inline('%REQ(:PATH)%\n'), { filter: { header_filter: { header: { name: 'x-log', present_match: true } } } }),
    log('not.log', inline('%REQ(:PATH)%\n'), { filter: { and_filter: { filters: [{ response_flag_filter: { flags: ['NR'] } }, { or_filter: { filters: [{ header_filter: { header: { name: 'x-log', present_match: true } } }] } }] } } }),
    filter('envoy.access_loggers.stdout', typeOf.stdoutLog, inline('STDOUT %REQ(:PATH)%\n')),
  ];
  proxy = await startProxy(bootstrap([
    httpListener({ routes: [{ ...route({ prefix: '/r/' }, { cluster: 'app', prefix_rewrite: '/' }), name: 'the-route' }, route({ path: '/app' }, 'app')], hcm: { access_log } }),
    tcpListener('tcp', { cluster: 'app', access_log: [log('tcp.log', inline('%DOWNSTREAM_LOCAL_ADDRESS% %BYTES_RECEIVED% %BYTES_SENT% %UPSTREAM_CLUSTER% %RESPONSE_FLAGS%\n'))] }),
  ], [cluster('app', [app.port])]));
});
after(async () => {
  await proxy?.[Symbol.asyncDispose]();
  await app.stop();
  rmSync(dir, { recursive: true, force: true });
});

const lines = (name: string) => readFileSync(join(dir, name), 'utf8').split('\n').filter(Boolean);
const lineOf = (name: string, pattern: RegExp) => waitFor(`${pattern} in ${name}`, () => lines(name).find((line) => pattern.test(line)));

test('the default format is Envoy\'s', async () => {
  const reply = await request(proxy.port('web'), { method: 'POST', path: '/app', body: 'hello', headers: { host: 'app.example', 'user-agent': 'tester/1', 'x-forwarded-for': '9.9.9.9' } });
  const line = await lineOf('default.log', /POST/);
  assert.match(line, new RegExp(`^\\[\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z\\] "POST /app HTTP/1\\.1" 200 - 5 ${reply.body.length} \\d+ \\d+ "9\\.9\\.9\\.9" "tester/1" "${reply.seen().headers['x-request-id']}" "app\\.example" "127\\.0\\.0\\.1:${app.port}"$`));
});

test('a text format of one\'s own', async () => {
  await request(proxy.port('web'), { path: '/r/x?q', headers: { 'user-agent': 'abcdefgh' } });
  assert.match(await lineOf('text.log', /the-route/), new RegExp(`^GET /r/x\\?q HTTP/1\\.1 200 0 \\d+ 127\\.0\\.0\\.1:${app.port} app the-route 127\\.0\\.0\\.1 app abcd \\d{10}$`));
});

test('JSON keeps numbers as numbers and nothing as null', async () => {
  await request(proxy.port('web'), { path: '/nowhere' });
  const entry = JSON.parse(await lineOf('json.log', /nowhere/)) as Record<string, unknown>;
  assert.equal(entry['method'], 'GET');
  assert.equal(entry['code'], 404);
  assert.equal(typeof entry['duration'], 'number');
  assert.equal(entry['missing'], null);
  assert.deepEqual(entry['nested'], { flags: 'NR', both: '/nowhere-404' });
});

test('filters decide what is written', async () => {
  await request(proxy.port('web'), { path: '/app', headers: { 'x-log': '1' } });
  await request(proxy.port('web'), { path: '/bad', headers: { 'x-log': '1' } });
  await lineOf('errors.log', /^\/bad$/);
  await lineOf('header.log', /^\/bad$/);
  assert.ok(!lines('errors.log').includes('/app'));
  assert.ok(lines('header.log').includes('/app'));
  await lineOf('not.log', /^\/bad$/);
  assert.ok(!lines('not.log').includes('/app'));
});

test('standard output gets its lines, and only them', async () => {
  await request(proxy.port('web'), { path: '/app?stdout' });
  await waitFor('the line', () => proxy.out().includes('STDOUT /app?stdout\n'));
  assert.ok(proxy.out().split('\n').every((line) => line === '' || line.startsWith('STDOUT ')));
});

test('what could not be read is logged with DPE', async () => {
  await exchange(proxy.port('web'), 'GET / HTTP/1.1\nbad\n\n');
  await lineOf('default.log', /400 DPE/);
});

test('TCP sessions', async () => {
  const text = await exchange(proxy.port('tcp'), 'GET /tcp HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  assert.match(await lineOf('tcp.log', / app /), new RegExp(`^127\\.0\\.0\\.1:${proxy.port('tcp')} 49 ${text.length} app -$`));
});

for (const [what, reopen] of [
  ['POST /reopen_logs', (running: RunningProxy) => request(running.port('admin'), { method: 'POST', path: '/reopen_logs' })],
  ['SIGUSR1', (running: RunningProxy) => Promise.resolve(running.signal('SIGUSR1'))],
] as const)
  test(`a log that was moved away is written anew after ${what}, and no line is lost`, async () => {
    await using own = await startProxy(bootstrap([httpListener({ routes: [], hcm: { access_log: [fileLog(join(dir, `${what.length}.log`), inline('%REQ(:PATH)%\n'))] } })], []), { args: ['--concurrency', '2'] });
    const [log, moved] = [`${what.length}.log`, `${what.length}.log.1`];
    await request(own.port('web'), { path: '/before' });
    await lineOf(log, /before/);
    renameSync(join(dir, log), join(dir, moved));
    await request(own.port('web'), { path: '/between' });
    await lineOf(moved, /between/);
    await reopen(own);
    await waitFor('the new file', () => existsSync(join(dir, log)));
    await waitFor('a line in the new file', async () => {
      await request(own.port('web'), { path: '/after' });
      return lines(log).includes('/after');
    });
    assert.deepEqual(lines(moved).filter((line) => line !== '/after'), ['/before', '/between']);
    assert.equal((await own.stop()).code, 0);
  });

test('nobody reads standard output any more: traffic goes on, and the end comes in time', async () => {
  await using own = await startProxy(bootstrap([httpListener({ routes: [route({ prefix: '/' }, 'app')], hcm: { access_log: [filter('envoy.access_loggers.stdout', typeOf.stdoutLog)] } })], [cluster('app', [app.port])]));
  assert.equal((await request(own.port('web'))).status, 200);
  await waitFor('the first line', () => own.out() !== '');
  own.closeOutput();
  for (let i = 0; i < 50; i++) {
    assert.equal((await request(own.port('web'))).status, 200);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await waitFor('the failure to be told', () => /standard output cannot be written/.test(own.err()));
  assert.equal((await request(own.port('web'))).status, 200);
  assert.equal((await own.stop()).code, 0);
});

test('lines that wait are written when the proxy ends', async () => {
  await using own = await startProxy(bootstrap([httpListener({ routes: [], hcm: { access_log: [fileLog(join(dir, 'last.log'), inline('last\n'))] } })], []), { args: ['--file-flush-interval-msec', '60000'] });
  await request(own.port('web'));
  await own.stop();
  assert.deepEqual(lines('last.log'), ['last']);
});

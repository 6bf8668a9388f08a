import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import net, { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { waitFor } from '@meltemi/base';
import { HeaderMap, RequestHead } from '@meltemi/http';
import { clientOf, echoServer } from './http2-fixture.ts';

const run = promisify(execFile);
const body = Buffer.alloc(1_000_000, 'meltemi');

interface NodeAnswer {
  readonly headers: http2.IncomingHttpHeaders;
  readonly bytes: number;
  readonly trailers: http2.IncomingHttpHeaders;
}

async function nodeClient(t: TestContext, port: number) {
  const session = http2.connect(`http://127.0.0.1:${port}`, { maxSessionMemory: 100 });
  t.after(() => session.destroy());
  const send = (headers: http2.OutgoingHttpHeaders, data: Buffer | null, trailers: http2.OutgoingHttpHeaders | null = null) =>
    new Promise<NodeAnswer>((resolve, reject) => {
      const stream = session.request(headers, { endStream: data === null, waitForTrailers: trailers !== null });
      let answer: http2.IncomingHttpHeaders = {};
      let end: http2.IncomingHttpHeaders = {};
      let bytes = 0;
      stream.on('response', (found) => (answer = found));
      stream.on('trailers', (found) => (end = found));
      stream.on('data', (chunk: Buffer) => (bytes += chunk.length));
      stream.on('wantTrailers', () => stream.sendTrailers(trailers ?? {}));
      stream.on('end', () => resolve({ headers: answer, bytes, trailers: end }));
      stream.on('error', reject);
      if (data !== null) stream.end(data);
    });
  return { session, send };
}

test('node’s client gets large bodies and trailers back from our server, many at a time', async (t) => {
  const { port, errors } = await echoServer(t);
  const { send } = await nodeClient(t, port);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => send({ ':method': 'POST', ':path': `/${i}`, 'x-n': String(i) }, body, { 'x-sum': String(i) })));
  for (const [i, answer] of answers.entries()) {
    assert.deepEqual([answer.headers['x-path'], answer.headers['x-got-x-n'], answer.bytes, answer.trailers['x-sum']], [`/${i}`, String(i), body.length, String(i)]);
  }
  assert.deepEqual(errors, []);
});

test('node’s compression and ours understand each other, whatever the fields', async (t) => {
  const { port } = await echoServer(t);
  const { send } = await nodeClient(t, port);
  const name = fc.stringMatching(/^x-[a-z]{1,8}$/);
  const value = fc.stringMatching(/^[!-~]([ -~]{0,60}[!-~])?$/);
  await fc.assert(fc.asyncProperty(fc.dictionary(name, value, { maxKeys: 20 }), fc.boolean(), async (fields, secret) => {
    const sensitive = secret ? Object.keys(fields).slice(0, 2) : [];
    const { headers } = await send({ ':path': '/', ...fields, [http2.sensitiveHeaders]: sensitive }, null);
    for (const [field, text] of Object.entries(fields)) assert.equal(headers[`x-got-${field}`], text);
  }), { numRuns: 60 });
});

test('node’s client sees a graceful goaway and finishes what it began', async (t) => {
  const { port, connections } = await echoServer(t);
  const { session, send } = await nodeClient(t, port);
  const stream = session.request({ ':method': 'POST', ':path': '/slow' });
  await new Promise((resolve) => stream.once('response', resolve));
  let closed = false;
  session.once('close', () => (closed = true));
  connections[0]?.drain();
  await new Promise((resolve) => session.once('goaway', resolve));
  let got = '';
  stream.on('data', (chunk: Buffer) => (got += chunk.toString()));
  stream.end('done');
  await waitFor('the answer and the close', () => got === 'done' && closed);
  await assert.rejects(send({ ':path': '/' }, null));
});

test('curl uploads and downloads over our server', async (t) => {
  const { port } = await echoServer(t);
  const folder = mkdtempSync(join(tmpdir(), 'meltemi-h2-'));
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'body'), body);
  const { stdout } = await run('curl', ['-sS', '--http2-prior-knowledge', '--max-time', '20', '--data-binary', `@${join(folder, 'body')}`, '-o', '/dev/null', '-w', '%{http_version} %{http_code} %{size_download}', `http://127.0.0.1:${port}/`]);
  assert.equal(stdout, `2 200 ${body.length}`);
});

test('nghttp and h2load are served without an error', async (t) => {
  const { port, errors } = await echoServer(t);
  const listed = await run('nghttp', ['-ns', '--timeout=20', `http://127.0.0.1:${port}/a`, `http://127.0.0.1:${port}/b`]);
  assert.equal(listed.stdout.match(/ 200 /g)?.length, 2);
  const load = await run('h2load', ['-n', '2000', '-c', '4', '-m', '20', '-T', '20', `http://127.0.0.1:${port}/`]);
  assert.match(load.stdout, /2000 succeeded, 0 failed, 0 errored/);
  assert.deepEqual(errors, []);
});

async function nodeServer(t: TestContext, onStream: (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void, settings: http2.Settings = {}) {
  const server = http2.createServer({ settings });
  const sessions: http2.ServerHttp2Session[] = [];
  server.on('session', (session) => sessions.push(session));
  server.on('stream', onStream);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sessions };
}

const request = (method: string, path: string, fields: string[] = []) => new RequestHead(method, path, 'h.example', new HeaderMap(fields));

test('our client sends large bodies and trailers to node’s server and gets them back', async (t) => {
  const { port } = await nodeServer(t, (stream, headers) => {
    stream.respond({ ':status': 201, 'x-path': headers[':path'] }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.pipe(stream);
  });
  const { send } = await clientOf(t, port);
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => send(request('POST', `/${i}`, ['cookie', 'a=b; c=d']), body, HeaderMap.from({ 'x-end': 'yes' }))));
  for (const [i, answer] of answers.entries()) {
    assert.deepEqual([answer.status, answer.headers.get('x-path'), answer.bytes, answer.trailers?.get('grpc-status'), answer.reset], [201, `/${i}`, body.length, '0', null]);
  }
});

test('our client keeps to the server’s concurrency and is told of refusals that are safe to repeat', async (t) => {
  const { port } = await nodeServer(t, (stream) => {
    stream.on('error', () => {});
    if (stream.id !== 1) stream.close(http2.constants.NGHTTP2_REFUSED_STREAM);
    else stream.respond({ ':status': 204 }, { endStream: true });
  }, { maxConcurrentStreams: 3 });
  const { codec, send } = await clientOf(t, port);
  assert.equal((await send(request('GET', '/'), null)).status, 204);
  assert.equal(codec.capacity, 3);
  const { reset } = await send(request('POST', '/'), null);
  assert.deepEqual([reset?.kind, reset?.refused], ['remote', true]);
});

test('our client finishes its streams after the server’s goaway, then leaves', async (t) => {
  const waiting: http2.ServerHttp2Stream[] = [];
  const { port, sessions } = await nodeServer(t, (stream) => waiting.push(stream));
  const { codec, told, send } = await clientOf(t, port);
  const answer = send(request('GET', '/'), null);
  await waitFor('the request', () => waiting.length === 1);
  sessions[0]?.close();
  await waitFor('the goaway', () => told.includes('goaway'));
  assert.equal(codec.capacity, 0);
  waiting[0]?.respond({ ':status': 204 }, { endStream: true });
  assert.equal((await answer).status, 204);
  await waitFor('the end of the connection', () => told.includes('gone'));
});

async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function nginx(t: TestContext): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'meltemi-h2-nginx-'));
  const port = await freePort();
  writeFileSync(join(folder, 'big'), body);
  writeFileSync(join(folder, 'nginx.conf'), `daemon off; master_process off; pid ${folder}/pid; error_log stderr; events {}
    http { access_log off; client_body_temp_path ${folder}/b; proxy_temp_path ${folder}/p; fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;
    server { listen 127.0.0.1:${port} http2; keepalive_requests 5; root ${folder}; } }`);
  const child = spawn('nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  t.after(async () => {
    child.kill();
    await exited;
    rmSync(folder, { recursive: true });
  });
  let up = false;
  await waitFor('nginx to listen', () => {
    const probe = net.connect(port, '127.0.0.1', () => {
      up = true;
      probe.destroy();
    });
    probe.on('error', () => {});
    if (child.exitCode !== null) throw new Error(log);
    return up;
  });
  return port;
}

test('our client downloads from nginx side by side, and follows its goaway after the requests it allows', async (t) => {
  const port = await nginx(t);
  const { told, send } = await clientOf(t, port);
  const answers = await Promise.all(Array.from({ length: 4 }, () => send(request('GET', '/big'), null)));
  for (const answer of answers) assert.deepEqual([answer.status, answer.bytes], [200, body.length]);
  assert.equal((await send(request('HEAD', '/big'), null)).headers.get('content-length'), String(body.length));
  await waitFor('nginx to say goodbye', () => told.includes('goaway') && told.includes('gone'));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import { waitFor } from '@meltemi/base';
import { filterJson, requestText, routeToApp, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;

const type = 'envoy.extensions.filters.http.compressor.v3.Compressor';
const library = (name: 'gzip' | 'brotli' | 'zstd', more: Json = {}) => ({ name, typedConfig: { '@type': `type.googleapis.com/envoy.extensions.compression.${name}.compressor.v3.${name[0]?.toUpperCase()}${name.slice(1)}`, ...more } });
const compressor = (name: 'gzip' | 'brotli' | 'zstd' = 'gzip', more: Json = {}) => filterJson(`compressor.${name}`, type, { compressorLibrary: library(name), ...more });
const overridden = (settings: Json): Json => ({ typedPerFilterConfig: { 'compressor.gzip': { '@type': 'type.googleapis.com/envoy.extensions.filters.http.compressor.v3.CompressorPerRoute', ...settings } } });
const text = 'All work and no play makes a dull proxy. '.repeat(50);
const plain = ['content-type', 'text/plain; charset=utf-8', 'content-length', String(text.length)];

/** Head and body (of its chunks) of the only response on a wire. */
function answer({ sent }: { readonly sent: string }): { head: string; body: Buffer } {
  const at = sent.indexOf('\r\n\r\n');
  const head = sent.slice(0, at + 2);
  let rest = sent.slice(at + 4);
  if (!head.includes('transfer-encoding: chunked')) return { head, body: Buffer.from(rest, 'latin1') };
  let body = '';
  for (;;) {
    const length = Number.parseInt(rest, 16);
    const from = rest.indexOf('\r\n') + 2;
    if (length === 0) return { head, body: Buffer.from(body, 'latin1') };
    body += rest.slice(from, from + length);
    rest = rest.slice(from + length + 2);
  }
}

async function ask(world: Served, fields: readonly string[] = ['accept-encoding: gzip'], response: readonly string[] = plain, body = text, status = 200) {
  const { wire } = world.connect();
  const done = world.done.length;
  wire.receive(requestText('/', fields));
  const request = world.backend.requests.shift();
  request?.respond(status, response, body);
  await until(() => world.done.length > done);
  return { ...answer(wire), request };
}

const until = (condition: () => boolean) => waitFor('the encoder to be done', condition);
const count = (world: Served, name: string) => world.stats.entries().find((entry) => entry.name === `http.test.compressor.${name}`)?.value;

test('a response goes out in the encoding that the client takes, and reads as it was', async () => {
  for (const [name, encoding, decode] of [['gzip', 'gzip', gunzipSync], ['brotli', 'br', brotliDecompressSync], ['zstd', 'zstd', zstdDecompressSync]] as const) {
    const world = new Served({ filters: [compressor(name)] });
    const { head, body } = await ask(world, [`accept-encoding: deflate, ${encoding}`]);
    assert.match(head, new RegExp(`content-encoding: ${encoding}\r\n`));
    assert.match(head, /vary: Accept-Encoding\r\n/);
    assert.doesNotMatch(head, /content-length/);
    assert.equal(decode(body).toString(), text);
    assert.ok(body.length < text.length / 4);
    assert.deepEqual([count(world, `${name}.${name}.compressed`), count(world, `${name}.${name}.total_uncompressed_bytes`), count(world, `${name}.${name}.total_compressed_bytes`)], [1, text.length, body.length]);
  }
});

test('what is not worth it or must stay as it is stays', async () => {
  const rows: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['no wish', [], plain],
    ['an image', ['accept-encoding: gzip'], ['content-type', 'image/png']],
    ['encoded already', ['accept-encoding: gzip'], [...plain, 'content-encoding', 'br']],
    ['not to be changed', ['accept-encoding: gzip'], [...plain, 'cache-control', 'public, no-transform']],
  ];
  for (const [what, fields, response] of rows) {
    const { head, body } = await ask(new Served({ filters: [compressor()] }), fields, response);
    assert.doesNotMatch(head, /content-encoding: gzip/, what);
    assert.equal(body.toString(), text, what);
  }
  const short = await ask(new Served({ filters: [compressor()] }), undefined, ['content-type', 'text/plain', 'content-length', '5'], 'short');
  assert.doesNotMatch(short.head, /content-encoding|vary/);
  const part = await ask(new Served({ filters: [compressor()] }), undefined, plain, text, 206);
  assert.doesNotMatch(part.head, /content-encoding/);
});

test('a cache is told also when this client gets it plain', async () => {
  assert.match((await ask(new Served({ filters: [compressor()] }), [], [...plain, 'vary', 'origin'])).head, /vary: origin, Accept-Encoding\r\n/);
});

test('a strong etag goes, a weak one stays; or neither is compressed', async () => {
  assert.doesNotMatch((await ask(new Served({ filters: [compressor()] }), undefined, [...plain, 'etag', '"a"'])).head, /etag/);
  assert.match((await ask(new Served({ filters: [compressor()] }), undefined, [...plain, 'etag', 'W/"a"'])).head, /etag: W\/"a"\r\n[\s\S]*content-encoding: gzip/);
  const kept = new Served({ filters: [compressor('gzip', { responseDirectionConfig: { disableOnEtagHeader: true } })] });
  assert.doesNotMatch((await ask(kept, undefined, [...plain, 'etag', 'W/"a"'])).head, /content-encoding/);
});

test('compressors of one chain agree on one encoding', async () => {
  const world = new Served({ filters: [compressor('brotli'), compressor('gzip')] });
  assert.match((await ask(world, ['accept-encoding: gzip;q=0.5, br;q=0.9'])).head, /content-encoding: br\r\n/);
  assert.equal(count(world, 'gzip.gzip.header_compressor_overshadowed'), 1);
  assert.match((await ask(world, ['accept-encoding: gzip'])).head, /content-encoding: gzip\r\n/);
});

test('a part is readable before the next is there, and upstream waits while it is encoded', async () => {
  const world = new Served({ filters: [compressor()] });
  const { wire } = world.connect();
  wire.receive(requestText('/', ['accept-encoding: gzip']));
  const request = world.backend.requests[0];
  request?.begin(200, ['content-type', 'text/plain']);
  request?.part('first');
  assert.equal(request?.paused, true);
  await until(() => request?.paused === false);
  assert.equal(gunzipSync(answer({ sent: `${wire.sent}0\r\n\r\n` }).body, { finishFlush: 2 }).toString(), 'first');
  request?.part(' second');
  request?.end();
  await until(() => world.done.length === 1);
  assert.equal(gunzipSync(answer(wire).body).toString(), 'first second');
});

test('requests are compressed where that is configured', async () => {
  const world = new Served({ filters: [compressor('gzip', { requestDirectionConfig: {} })] });
  const { wire } = world.connect();
  wire.receive(`${requestText('/', [`content-length: ${text.length}`, 'content-type: text/plain'], 'POST')}${text}`);
  const request = world.backend.requests[0];
  await until(() => request?.ended === true);
  const sent = request?.body ?? '';
  assert.equal(request?.head.headers.get('content-encoding'), 'gzip');
  assert.equal(request?.head.headers.get('content-length'), null);
  assert.equal(gunzipSync(Buffer.from(sent, 'latin1')).toString(), text);
});

test('a route switches it off, or takes accept-encoding away', async () => {
  assert.doesNotMatch((await ask(new Served({ filters: [compressor()], routes: [routeToApp(overridden({ disabled: true }))] }))).head, /content-encoding/);
  const removed = await ask(new Served({ filters: [compressor()], routes: [routeToApp(overridden({ overrides: { responseDirectionConfig: { removeAcceptEncodingHeader: true } } }))] }));
  assert.match(removed.head, /content-encoding: gzip/);
  assert.equal(removed.request?.head.headers.get('accept-encoding'), null);
});

test('a client that leaves ends the encoding', async () => {
  const world = new Served({ filters: [compressor()] });
  const { wire } = world.connect();
  wire.receive(requestText('/', ['accept-encoding: gzip']));
  const request = world.backend.requests[0];
  request?.begin(200, ['content-type', 'text/plain']);
  request?.part(text);
  wire.destroy();
  await until(() => world.done.length === 1);
  assert.deepEqual([world.bugs, request?.wasReset], [[], true]);
});

test('libraries and settings out of bounds are refused by name', () => {
  const refused = (settings: Json, path: RegExp) => assert.throws(() => new Served({ filters: [filterJson('c', type, settings)] }), path);
  refused({ compressorLibrary: library('gzip', { windowBits: 20 }) }, /compressor_library\.typed_config\.window_bits/);
  refused({ compressorLibrary: library('brotli', { quality: 12 }) }, /compressor_library\.typed_config\.quality/);
  refused({ compressorLibrary: library('zstd', { dictionary: { inlineString: 'a' } }) }, /compressor_library\.typed_config\.dictionary/);
  refused({ compressorLibrary: filterJson('x', type) }, /compressor_library\.typed_config/);
});

test('codes that are to be left are left, and an answer says what became of it where that is asked for', async () => {
  const world = new Served({ filters: [compressor('gzip', { responseDirectionConfig: { uncompressibleResponseCodes: [404], statusHeaderEnabled: true, disableOnEtagHeader: true } })] });
  const said = async (fields: readonly string[], response: readonly string[], body = text, status = 200) => {
    const { head } = await ask(world, fields, response, body, status);
    return [/x-envoy-compression-status: (.*)\r\n/.exec(head)?.[1], /content-encoding/.test(head)];
  };
  const wish = ['accept-encoding: gzip'];
  assert.deepEqual(await said(wish, plain), [`gzip;Compressed;OriginalLength=${text.length}`, true]);
  assert.deepEqual(await said(wish, plain, text, 404), ['gzip;StatusCodeNotAllowed', false]);
  assert.deepEqual(await said(wish, ['content-type', 'text/plain', 'content-length', '2'], 'ab'), ['gzip;ContentLengthTooSmall', false]);
  assert.deepEqual(await said(wish, ['content-type', 'image/png', 'content-length', String(text.length)]), ['gzip;ContentTypeNotAllowed', false]);
  assert.deepEqual(await said(wish, [...plain, 'etag', '"a"']), ['gzip;EtagNotAllowed', false]);
  assert.deepEqual(await said([], plain), [undefined, false], 'the client wants none');
  assert.deepEqual(await said(wish, [...plain, 'cache-control', 'no-transform']), [undefined, false]);
});

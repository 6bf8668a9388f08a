import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { waitFor } from '@meltemi/base';
import { filterJson, requestText, Served } from '../../../testing/served.ts';

type Json = Record<string, unknown>;

const type = 'envoy.extensions.filters.http.decompressor.v3.Decompressor';
const library = (name: 'gzip' | 'brotli' | 'zstd', more: Json = {}) => ({ name, typedConfig: { '@type': `type.googleapis.com/envoy.extensions.compression.${name}.decompressor.v3.${name[0]?.toUpperCase()}${name.slice(1)}`, ...more } });
const served = (name: 'gzip' | 'brotli' | 'zstd' = 'gzip', more: Json = {}) => new Served({ filters: [filterJson('decompressor', type, { decompressorLibrary: library(name), ...more })] });
const over = (world: Served) => waitFor('the stream to end', () => world.done.length > 0);

test('responses reach the client plain, whatever they are compressed with', async () => {
  for (const [name, encoding, compress] of [['gzip', 'gzip', gzipSync], ['brotli', 'br', brotliCompressSync], ['zstd', 'zstd', zstdCompressSync]] as const) {
    const world = served(name);
    const { wire } = world.connect();
    wire.receive(requestText());
    const request = world.backend.requests[0];
    assert.equal(request?.head.headers.get('accept-encoding'), encoding);
    const body = compress(Buffer.from('plain text'));
    request?.begin(200, ['content-encoding', encoding, 'content-length', String(body.length)]);
    request?.part(body.subarray(0, 5));
    request?.part(body.subarray(5));
    request?.end();
    await over(world);
    assert.doesNotMatch(wire.sent, /content-encoding|content-length/);
    const chunks = wire.sent.slice(wire.sent.indexOf('\r\n\r\n') + 4).split('\r\n');
    assert.equal(chunks.filter((_, i) => i % 2 === 1).join(''), 'plain text', name);
  }
});

test('requests reach the upstream plain', async () => {
  const world = served();
  const body = gzipSync(Buffer.from('question'));
  world.connect().wire.receive(`${requestText('/', ['content-encoding: gzip', `content-length: ${body.length}`], 'POST')}${body.toString('latin1')}`);
  const request = world.backend.requests[0];
  await waitFor('the request to be complete', () => request?.ended);
  assert.deepEqual([request?.body, request?.head.headers.get('content-encoding'), request?.head.headers.get('content-length')], ['question', null, null]);
});

test('what is encoded otherwise, not to be changed, or switched off passes as it is', () => {
  const rows: readonly (readonly [readonly string[], Json])[] = [
    [['content-encoding', 'br'], {}], [['content-encoding', 'gzip', 'cache-control', 'no-transform'], {}], [['content-encoding', 'gzip'], { responseDirectionConfig: { commonConfig: { enabled: { defaultValue: false, runtimeKey: 'a' } } } }],
  ];
  for (const [fields, config] of rows) {
    const world = served('gzip', config);
    const { wire } = world.connect();
    wire.receive(requestText());
    world.backend.requests[0]?.respond(200, [...fields, 'content-length', '3'], 'raw');
    assert.match(wire.sent, /content-encoding[\s\S]*\r\n\r\nraw$/);
  }
});

test('the encoding put on last is undone, others stay', async () => {
  const world = served();
  const { wire } = world.connect();
  wire.receive(requestText('/', ['accept-encoding: br']));
  assert.equal(world.backend.requests[0]?.head.headers.get('accept-encoding'), 'br,gzip');
  world.backend.requests[0]?.begin(200, ['content-encoding', 'br, gzip']);
  world.backend.requests[0]?.part(gzipSync(Buffer.from('x')));
  world.backend.requests[0]?.end();
  await over(world);
  assert.match(wire.sent, /content-encoding: br\r\n/);
});

test('a broken body and a bomb end their stream', async () => {
  for (const body of [Buffer.from('not gzip at all'), gzipSync(Buffer.alloc(10_000_000))]) {
    const world = served();
    const { wire } = world.connect();
    wire.receive(requestText());
    world.backend.requests[0]?.begin(200, ['content-encoding', 'gzip']);
    world.backend.requests[0]?.part(body);
    await over(world);
    assert.ok(wire.closed || wire.ended, 'the client is not told that it was all');
    assert.ok(wire.sent.length < 2_000_000);
    assert.deepEqual(world.bugs, []);
  }
});

test('libraries it has not, and settings out of bounds, are refused by name', () => {
  const refused = (decompressorLibrary: Json, path: RegExp) => assert.throws(() => new Served({ filters: [filterJson('d', type, { decompressorLibrary })] }), path);
  refused(filterJson('x', type), /decompressor_library\.typed_config/);
  refused(library('gzip', { windowBits: 8 }), /window_bits/);
  refused(library('zstd', { dictionaries: [{ inlineString: 'a' }] }), /dictionaries/);
  refused(library('brotli', { chunkSize: 1 }), /chunk_size/);
});

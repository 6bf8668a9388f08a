import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { waitFor } from '@meltemi/base';
import { frame, headersFrame, word } from '@meltemi/proxy/testing';
import { ControlPlane, type Door } from './control-plane.ts';
import { Flooder, silent } from './flooder.ts';

const mesh = new ControlPlane();
before(() => mesh.start());
after(() => mesh.stop());

const victims: readonly (readonly [Door, 'pilot' | 'citadel' | 'telemetry', string])[] = [
  ['pilot', 'pilot', '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources'],
  ['citadel', 'citadel', '/istio.v1.auth.IstioCertificateService/CreateCertificate'],
  ['telemetry', 'telemetry', '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'],
];
const grpcHeaders = (path: string) => [':method', 'POST', ':scheme', 'https', ':authority', 'mesh', ':path', path, 'content-type', 'application/grpc', 'te', 'trailers'];

/** What one flooding connection writes, round by round. */
const floods: Readonly<Record<string, (path: string) => (round: number) => string>> = {
  'streams that are reset at once': (path) => (round) => pairs(round, 20, (id) => headersFrame(id, grpcHeaders(path), 4) + frame(3, 0, id, word(8))),
  'streams without an end': (path) => (round) => pairs(round, 20, (id) => headersFrame(id, grpcHeaders(path), 4)),
  settings: () => () => frame(4, 0, 0, Buffer.concat([Buffer.from([0, 4]), word(65_535)])).repeat(200),
  pings: () => () => frame(6, 0, 0, Buffer.alloc(8, 1)).repeat(200),
  'a header without an end': (path) => (round) => (round === 0 ? headersFrame(1, grpcHeaders(path), 0) : frame(9, 0, 1, Buffer.alloc(4000, 0x20)).repeat(4)),
  'empty data': (path) => (round) => (round === 0 ? headersFrame(1, grpcHeaders(path), 4) : '') + frame(0, 0, 1).repeat(400),
};

function pairs(round: number, count: number, make: (id: number) => string): string {
  return Array.from({ length: count }, (_, n) => make(1 + 2 * (round * count + n))).join('');
}

for (const [door, program, path] of victims) {
  test(`${door}: no flood of frames keeps an honest client out, or grows the program`, async () => {
    const before = mesh.memoryMb(program);
    for (const [what, make] of Object.entries(floods)) {
      const flooders = await Promise.all([1, 2].map(() => Flooder.connect(mesh.port(door), mesh.forger.leaf('default/flood'))));
      const flooding = Promise.all(flooders.map((flooder) => flooder.flood(make(path), { forMs: 800, rounds: 5000 })));
      const honest = await mesh.call(door, mesh.forger.leaf('default/honest'));
      assert.equal(honest.code, status.OK, `${what}: ${honest.details}`);
      await flooding;
      assert.ok(flooders.every(({ written }) => written > 20_000), `${what}: the flood was none`);
      for (const flooder of flooders) flooder.close();
    }
    assert.ok(mesh.program(program).running);
    await waitFor('memory to be as before', () => mesh.memoryMb(program) < before + 200, { deadlineMs: 10_000 }).catch(() => assert.fail(`${program} grew from ${before} to ${mesh.memoryMb(program)} MB`));
  });

  test(`${door}: clients that connect and say nothing, or end TLS never, keep nobody out`, async () => {
    const crowd = Array.from({ length: 600 }, (_, n) => silent(mesh.port(door), n % 2 === 0 ? '127.0.0.1' : '127.0.0.13'));
    try {
      for (const socket of crowd) socket.write(Buffer.from([0x16, 3, 1, 0x40, 0]));
      const { code, details } = await mesh.call(door, mesh.forger.leaf('default/honest'));
      assert.equal(code, status.OK, details);
      await waitFor('the oldest to be dropped', () => crowd.filter(({ destroyed }) => destroyed).length >= 88);
    } finally {
      for (const socket of crowd) socket.destroy();
    }
  });
}

const limits: readonly (readonly [Door, string, number])[] = [
  ['pilot', '/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources', 5 << 20],
  ['citadel', '/istio.v1.auth.IstioCertificateService/CreateCertificate', 70_000],
  ['telemetry', '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs', 5 << 20],
  ['config', '/meltemi.config.v1.ConfigService/Apply', 17 << 20],
];

for (const [door, path, bytes] of limits) {
  test(`${door}: a message over the size, and a compressed bomb, are refused before they are unpacked`, async () => {
    const program = door === 'config' ? 'pilot' : door;
    const before = mesh.memoryMb(program);
    for (const [size, compression] of [[bytes, 0], [100 << 20, 2], [100 << 20, 1]] as const) {
      const { code, details } = await send(door, { path, message: Buffer.alloc(size), compression });
      assert.equal(code, status.RESOURCE_EXHAUSTED, `${size} bytes, compression ${compression}: ${code} ${details}`);
    }
    assert.equal((await mesh.call(door, mesh.forger.leaf('default/honest'))).code, status.OK);
    assert.ok(mesh.memoryMb(program) < before + 90, `${program} grew from ${before} to ${mesh.memoryMb(program)} MB`);
  });
}

/** One message to a method, as raw bytes: 0 plain, 1 deflate, 2 gzip. */
function send(door: Door, { path, message, compression }: { readonly path: string; readonly message: Buffer; readonly compression: 0 | 1 | 2 }): Promise<{ readonly code: number; readonly details: string }> {
  const client = new Client(`127.0.0.1:${mesh.port(door)}`, mesh.credentials(mesh.forger.leaf('default/bomber')), { 'grpc.ssl_target_name_override': 'mesh', 'grpc.default_authority': 'mesh', 'grpc.default_compression_algorithm': compression, 'grpc.max_send_message_length': -1 });
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, (value: Buffer) => value, (value: Buffer) => value, message, new Metadata(), { deadline: Date.now() + 20_000 }, (error: ServiceError | null) => {
      client.close();
      resolve({ code: error?.code ?? status.OK, details: error?.details ?? '' });
    });
  });
}

import { http2Backend } from '../backends.ts';
import type { Bench } from '../bench-run.ts';
import { cpuRatios, type BenchCase, type Metric } from '../case.ts';
import { h2load, type H2LoadOptions } from '../loads/h2load.ts';
import type { RunningPeer } from '../peers/start.ts';
import { checkWithCurl, through, type LoadFunction } from '../through.ts';

const metrics: readonly Metric[] = [
  { name: 'cpu', title: 'CPU µs/request', digits: 1 },
  { name: 'perSecond', title: 'requests/s', digits: 0 },
  { name: 'mean', title: 'mean ms', digits: 2 },
  { name: 'rss', title: 'RSS MB', digits: 0 },
];
const peers = ['meltemi', 'nginx', 'haproxy'] as const;
const [connections, streams] = [8, 10];

/** HTTP/2 on both sides. nginx speaks HTTP/2 to backends with grpc_pass only. */
export const http2: BenchCase = {
  name: 'http2',
  about: `HTTP/2 by prior knowledge on both sides, 1 KB answers, ${connections} connections of ${streams} streams; nginx by grpc_pass`,
  metrics,
  comparisons: cpuRatios({ nginx: [1], haproxy: [] }),
  needs: ['nghttpd', 'h2load'],
  async open(bench) {
    const { port } = await http2Backend(bench, 'plain');
    const check = checkWithCurl('/small', 1024, () => ['--http2-prior-knowledge']);
    return peers.map((peer) => through(peer, { shape: { protocol: 'http2', backendPort: port }, load: load('/small', {}), check }));
  },
};

const grpcHeaders = ['content-type: application/grpc', 'te: trailers'];

/** One small message each way, the status in trailers. */
export const grpc: BenchCase = {
  name: 'grpc',
  about: `unary gRPC: POST of a 10-byte message, the same back, grpc-status in trailers; ${connections} connections of ${streams} streams`,
  metrics,
  comparisons: cpuRatios({ nginx: [1], haproxy: [] }, 'CPU per call'),
  needs: ['nghttpd', 'h2load'],
  async open(bench) {
    const { port, messageFile } = await http2Backend(bench, 'grpc');
    const check = (_: Bench, peer: RunningPeer) => checkTrailers(bench, peer, messageFile);
    return peers.map((peer) => through(peer, { shape: { protocol: 'http2', backendPort: port }, load: load('/grpc', { bodyFile: messageFile, headers: grpcHeaders }), check }));
  },
};

function load(path: string, more: Partial<H2LoadOptions>): LoadFunction {
  return async (bench, { port }, seconds) => {
    const seen = await h2load(bench, `http://127.0.0.1:${port}${path}`, { seconds, connections, streams, ...more });
    return { requests: seen.requests, errors: seen.errors, sample: { perSecond: seen.perSecond, mean: seen.meanMs } };
  };
}

async function checkTrailers(bench: Bench, peer: RunningPeer, messageFile: string): Promise<void> {
  const answer = await bench.run(['nghttp', '-v', '-d', messageFile, ...grpcHeaders.flatMap((header) => ['-H', header]), `http://127.0.0.1:${peer.port}/grpc`], 10);
  if (!answer.includes(':status: 200') || !answer.includes('grpc-status: 0')) throw new Error(`${peer.peer} did not pass status 200 and the trailer grpc-status: 0:\n${answer.slice(-1500)}`);
}

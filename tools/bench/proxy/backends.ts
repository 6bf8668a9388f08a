import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../child.ts';
import { programOf, type Bench } from './bench-run.ts';
import { nginxCommand } from './peers/nginx.ts';

/** What most cases fetch. */
export const smallBody = 'meltemi '.repeat(128);
/** Length-prefixed message of ten bytes: what a unary gRPC call carries. */
const grpcMessage = Buffer.concat([Buffer.from([0, 0, 0, 0, 10]), Buffer.from('hello mesh')]);

/** nginx: 1 KB from memory for any path, /files/SIZE for larger bodies by sendfile. Returns its port. */
export async function http1Backend(bench: Bench): Promise<number> {
  const port = await freePort();
  const name = bench.unique('backend');
  const files = join(bench.dir, 'files');
  mkdirSync(files, { recursive: true });
  for (const [size, bytes] of [['64k', 2 ** 16], ['1m', 2 ** 20]] as const) writeFileSync(join(files, size), 'x'.repeat(bytes));
  const server = `access_log off; sendfile on; tcp_nopush on; open_file_cache max=16; server { listen 127.0.0.1:${port} backlog=4096; location / { default_type text/plain; return 200 "${smallBody}"; } location /files/ { root ${bench.dir}; } }`;
  await bench.spawn({ name, command: nginxCommand({ dir: bench.dir, name }, { http: server }), core: bench.options.cores.load }).listening(port);
  return port;
}

/** nghttpd: HTTP/2 by prior knowledge; /small is 1 KB; as gRPC it answers any POST /grpc with one message and grpc-status 0 in trailers. */
export async function http2Backend(bench: Bench, kind: 'plain' | 'grpc'): Promise<{ readonly port: number; readonly messageFile: string }> {
  const port = await freePort();
  const root = join(bench.dir, 'http2');
  mkdirSync(root, { recursive: true });
  const messageFile = join(root, 'grpc');
  writeFileSync(join(root, 'small'), smallBody);
  writeFileSync(messageFile, grpcMessage);
  const grpc = kind === 'grpc' ? ['--no-content-length', '--trailer', 'grpc-status: 0'] : [];
  await bench.spawn({ name: bench.unique('backend'), command: ['nghttpd', '--no-tls', '-a', '127.0.0.1', '-d', root, '-m', '1000', ...grpc, String(port)], core: bench.options.cores.load }).listening(port);
  return { port, messageFile };
}

export async function websocketBackend(bench: Bench): Promise<number> {
  const port = await freePort();
  await bench.spawn({ name: bench.unique('backend'), command: programOf('websocket-backend', { port }), core: bench.options.cores.load }).listening(port);
  return port;
}

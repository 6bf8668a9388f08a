import { createServer, type IncomingMessage, type Server } from 'node:http';

/** One answer of a Bookinfo service. */
export interface Answer {
  readonly status: number;
  readonly type: 'application/json' | 'text/html; charset=utf-8' | 'text/plain' | 'image/svg+xml';
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handler = (request: AppRequest) => Answer | Promise<Answer>;

/** What a service sees of a request. `form` holds the fields of a posted form. */
export interface AppRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

const maxBodyBytes = 64 * 1024;

/** JSON with status 200 unless said otherwise. */
export function json(value: unknown, status = 200): Answer {
  return { status, type: 'application/json', body: JSON.stringify(value) };
}

/** Serves `handler` with plain node:http: an application that knows nothing of a mesh. */
export function serve(handler: Handler, address: { host: string; port: number }): Promise<Server> {
  const server = createServer((request, response) => {
    answer(handler, request)
      .catch((cause: unknown): Answer => json({ error: cause instanceof Error ? cause.message : String(cause) }, 500))
      .then((reply) => {
        response.writeHead(reply.status, { 'content-type': reply.type, 'content-length': Buffer.byteLength(reply.body), ...reply.headers });
        response.end(request.method === 'HEAD' ? undefined : reply.body);
      })
      .catch(() => response.destroy());
  });
  server.keepAliveTimeout = 75_000;
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => resolve(server));
  });
}

async function answer(handler: Handler, request: IncomingMessage): Promise<Answer> {
  const url = new URL(request.url ?? '/', 'http://local');
  const body = await readBody(request);
  if (body === undefined) return json({ error: `the body is larger than ${maxBodyBytes} bytes` }, 413);
  if (url.pathname === '/health') return json({ status: 'healthy' });
  return handler({ method: request.method ?? 'GET', path: url.pathname, query: url.searchParams, headers: request.headers, body });
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > maxBodyBytes) return undefined;
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

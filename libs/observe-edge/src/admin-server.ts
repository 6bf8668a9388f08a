import { rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isIP, type AddressInfo } from 'node:net';
import { isLoopback, unixPath, type Address } from './address.ts';
import { bindPrivately } from './private-socket.ts';

export interface AdminRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  /** The whole body, as UTF-8; '' when there is none. */
  readonly body: string;
}

export interface AdminResponse {
  /** Default 200. */
  readonly status?: number;
  /** Default text/plain in UTF-8. */
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}

export interface AdminRoute {
  readonly method: 'GET' | 'POST';
  /** Exact path; one ending in '/*' takes everything below it. */
  readonly path: string;
  /** One line for the index page. */
  readonly description: string;
  /** Harmless to show to other machines: health and metrics. Default false. */
  readonly anywhere?: boolean;
  readonly handle: (request: AdminRequest) => AdminResponse | Promise<AdminResponse>;
}

export interface AdminServerOptions {
  /** Title of the index page. */
  readonly title: string;
  /** Largest request body; default 1 MiB. */
  readonly maxBodyBytes?: number;
  /** Default 256. */
  readonly maxConnections?: number;
  /** Other machines get only the routes marked `anywhere`, whatever address is listened on. Default false. */
  readonly localOnly?: boolean;
  /** A handler that takes longer is answered with 503; default 30,000. */
  readonly handlerTimeoutMs?: number;
  /** What names the Unix socket, for messages: a flag without dashes. Default admin-listen. */
  readonly socketFlag?: string;
  readonly onError?: (error: unknown, path: string) => void;
}

/**
 * A small HTTP server for operators: exact paths, an index at GET /, limits on everything. Bind it to loopback unless its routes are harmless.
 * It takes no POST that a foreign web page sent, and on a loopback address only IP addresses and localhost as Host:
 * otherwise any page in the operator's browser could read or change the mesh (DNS rebinding).
 */
export class AdminServer {
  readonly #options: AdminServerOptions;
  readonly #routes = new Map<string, AdminRoute>();
  #server: Server | undefined;
  #socketPath: string | undefined;
  #loopback = true;

  constructor(options: AdminServerOptions) {
    this.#options = options;
  }

  /** Adds a route, replacing one of the same method and path. */
  route(route: AdminRoute): void {
    this.#routes.set(`${route.method} ${route.path}`, route);
  }

  /** Starts listening; the result has the port that was bound. Rejects with node's listen error. */
  async listen(address: Address): Promise<Address> {
    const server = createServer({ requestTimeout: 30_000, headersTimeout: 10_000, maxHeaderSize: 32_768, keepAliveTimeout: 5000 }, (request, response) => void this.#serve(request, response));
    server.maxConnections = this.#options.maxConnections ?? 256;
    const path = unixPath(address);
    if (path !== undefined) {
      await bindPrivately(path, (bound) => listening(server, (done) => server.listen(bound, done)), { flag: this.#options.socketFlag ?? 'admin-listen', owner: 'program' });
      this.#socketPath = path;
      this.#server = server;
      return address;
    }
    this.#loopback = isLoopback(address.host);
    await listening(server, (done) => server.listen(address.port, address.host, done));
    this.#server = server;
    return { host: address.host, port: (server.address() as AddressInfo).port };
  }

  /** Stops listening and closes what is open; requests under way are cut after a second. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    this.#server = undefined;
    // While it still answers: later it may be another program's.
    if (this.#socketPath !== undefined) await rm(this.#socketPath, { force: true });
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeIdleConnections();
    const cut = setTimeout(() => server.closeAllConnections(), 1000);
    await closed;
    clearTimeout(cut);
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: AdminResponse;
    const path = pathOf(request);
    try {
      answer = await this.#answer(request, path);
    } catch (error) {
      this.#options.onError?.(error, path);
      answer = { status: 500, body: 'internal error; see the log\n' };
    }
    send(response, request.method === 'HEAD', answer);
  }

  async #answer(request: IncomingMessage, path: string): Promise<AdminResponse> {
    const refused = refuseForeign(request, this.#loopback);
    if (refused !== undefined) return { status: 403, body: `${refused}\n` };
    const everything = this.#options.localOnly !== true || isLocal(request.socket);
    const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '');
    if (method === 'GET' && path === '/' && !this.#routes.has('GET /')) return this.#index(everything);
    const route = this.#find(method, path);
    if (!route) return this.#missing(method, path);
    if (!everything && route.anywhere !== true) return { status: 403, body: `${path} is for this machine only: ask from here\n` };
    const body = await readBody(request, this.#options.maxBodyBytes ?? 1_048_576);
    if (body === undefined) return { status: 413, body: 'request body too large\n' };
    const query = new URL(request.url ?? '/', 'http://admin').searchParams;
    return this.#withTimeout(route.handle({ method, path, query, headers: request.headers, body }));
  }

  #find(method: string, path: string): AdminRoute | undefined {
    const exact = this.#routes.get(`${method} ${path}`);
    if (exact) return exact;
    for (const route of this.#routes.values()) if (route.method === method && route.path.endsWith('/*') && path.startsWith(route.path.slice(0, -1))) return route;
    return undefined;
  }

  #missing(method: string, path: string): AdminResponse {
    const allowed = (['GET', 'POST'] as const).filter((other) => other !== method && this.#find(other, path));
    if (allowed.length > 0) return { status: 405, headers: { allow: allowed.join(', ') }, body: `${path} takes ${allowed.join(', ')}\n` };
    return { status: 404, body: `no ${path} here; GET / lists what there is\n` };
  }

  async #withTimeout(pending: AdminResponse | Promise<AdminResponse>): Promise<AdminResponse> {
    if (!(pending instanceof Promise)) return pending;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<AdminResponse>((resolve) => {
      timer = setTimeout(() => resolve({ status: 503, body: 'no answer in time\n' }), this.#options.handlerTimeoutMs ?? 30_000);
    });
    try {
      return await Promise.race([pending, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #index(everything: boolean): AdminResponse {
    const rows = [...this.#routes.values()].filter((route) => everything || route.anywhere === true).sort((a, b) => (a.path < b.path ? -1 : 1)).map((route) => {
      const name = escapeHtml(route.path);
      return `<li>${route.method === 'GET' && !route.path.endsWith('*') ? `<a href="${name}">${name}</a>` : `${route.method} ${name}`}: ${escapeHtml(route.description)}</li>`;
    });
    const title = escapeHtml(this.#options.title);
    return { contentType: 'text/html; charset=utf-8', body: `<!doctype html><meta charset="utf-8"><title>${title}</title><h1>${title}</h1><ul>\n${rows.join('\n')}\n</ul>\n` };
  }
}

/** True for who connects from this machine: over loopback, from the address it connects to, or over a Unix socket. */
export function isLocal({ remoteAddress, localAddress }: { readonly remoteAddress?: string | undefined; readonly localAddress?: string | undefined }): boolean {
  return remoteAddress === undefined || isLoopback(remoteAddress) || remoteAddress === localAddress;
}

/** A JSON answer, indented for people. */
export function jsonResponse(value: unknown, status = 200): AdminResponse {
  return { status, contentType: 'application/json; charset=utf-8', body: `${JSON.stringify(value, (_, entry: unknown) => (typeof entry === 'bigint' ? String(entry) : entry), 2)}\n` };
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? '/').split('?', 1)[0] ?? '/';
}

function refuseForeign(request: IncomingMessage, loopback: boolean): string | undefined {
  const host = (request.headers.host ?? 'localhost').replace(/:\d+$/, '').replace(/^\[|\]$/g, '');
  if (loopback && isIP(host) === 0 && host !== 'localhost' && !host.endsWith('.localhost')) return `Host ${JSON.stringify(host)} is not served here: use an IP address or localhost`;
  const origin = request.headers.origin;
  if (request.method === 'POST' && origin !== undefined && origin !== `http://${request.headers.host}`) return 'POST from a foreign web page is refused';
  return undefined;
}

/** The body, or undefined when it is larger than allowed. */
async function readBody(request: IncomingMessage, maxBytes: number): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= maxBytes) chunks.push(chunk);
    else if (size > maxBytes * 4) return undefined;
  }
  return size > maxBytes ? undefined : Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, headOnly: boolean, answer: AdminResponse): void {
  if (response.destroyed) return;
  const body = typeof answer.body === 'string' ? Buffer.from(answer.body) : answer.body;
  response.writeHead(answer.status ?? 200, {
    'content-type': answer.contentType ?? 'text/plain; charset=utf-8',
    'content-length': body.length,
    'cache-control': 'no-cache, max-age=0',
    'x-content-type-options': 'nosniff',
    ...answer.headers,
  });
  response.end(headOnly ? undefined : body);
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}

function listening(server: Server, listen: (done: () => void) => unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    listen(() => {
      server.off('error', reject);
      resolve();
    });
  });
}

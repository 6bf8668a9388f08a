import { createServer, type Server } from 'node:http';
import type { Settings } from './settings.ts';

const maxBodyBytes = 64 * 1024 * 1024;

/** Answers every request with what arrived; the query steers status, delay, size and headers. */
export function httpEcho(settings: Settings): Server {
  let served = 0;
  return createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://local');
    let bytes = 0;
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= 4096) parts.push(part);
      if (bytes > maxBodyBytes) request.destroy();
    });
    request.on('error', () => response.destroy());
    request.on('end', () => {
      served += 1;
      const size = Number(url.searchParams.get('size') ?? -1);
      const body = size >= 0 ? 'x'.repeat(Math.min(size, maxBodyBytes)) : JSON.stringify({
        instance: settings.instance, version: settings.version, served, method: request.method, path: request.url, headers: request.headers, bytes, body: Buffer.concat(parts).toString('utf8'),
      });
      const reply = () => {
        for (const header of url.searchParams.getAll('header')) {
          const colon = header.indexOf(':');
          if (colon > 0) response.setHeader(header.slice(0, colon), header.slice(colon + 1));
        }
        response.writeHead(Number(url.searchParams.get('status') ?? 200), { 'content-type': size >= 0 ? 'text/plain' : 'application/json', 'content-length': Buffer.byteLength(body) });
        response.end(request.method === 'HEAD' ? undefined : body);
      };
      const delay = Number.parseInt(url.searchParams.get('delay') ?? '0', 10);
      if (delay > 0) setTimeout(reply, Math.min(delay, 60_000));
      else reply();
    });
  });
}

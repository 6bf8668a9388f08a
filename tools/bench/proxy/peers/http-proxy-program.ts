// The npm package http-proxy as its README recommends it for speed: one process, a keep-alive agent. Arguments: port to listen on, port of the backend.
import { randomUUID } from 'node:crypto';
import { Agent, createServer } from 'node:http';
import httpProxy from 'http-proxy';

const [port, backendPort] = process.argv.slice(2).map(Number);
const proxy = httpProxy.createProxyServer({ target: `http://127.0.0.1:${backendPort}`, agent: new Agent({ keepAlive: true, maxSockets: 64 }) });
proxy.on('error', (error) => console.error(error.message));
const server = createServer((request, response) => {
  request.headers['x-request-id'] = randomUUID();
  proxy.web(request, response);
});
server.listen(port, '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));

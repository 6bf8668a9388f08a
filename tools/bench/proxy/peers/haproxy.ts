import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { maxConnections, routesOf, type PeerCommand, type PeerFiles, type Shape } from './shape.ts';

/** haproxy as a proxy of this shape. It writes no files itself: its log lines go to standard output, which is a file here, one write each. */
export function haproxy(shape: Shape, files: PeerFiles): PeerCommand {
  const file = join(files.dir, `${files.name}.cfg`);
  const tcp = shape.protocol === 'tcp';
  writeFileSync(file, `global
  nbthread ${shape.workers ?? 1}
  maxconn ${maxConnections}
  log stdout format raw local0 info
  tune.ssl.cachesize 0
  ssl-default-bind-options ssl-min-ver TLSv1.3 no-tls-tickets
  ssl-default-server-options ssl-min-ver TLSv1.3 no-tls-tickets
defaults
  mode ${tcp ? 'tcp' : 'http'}
  log global
  option ${tcp ? 'tcplog' : 'httplog'}
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  timeout tunnel 3600s
  timeout http-keep-alive 3600s
${tcp ? '' : '  http-reuse always\n'}frontend in
  bind 127.0.0.1:${files.port} backlog 4096${bindOptions(shape)}
${tcp ? '' : `  unique-id-format %[uuid()]\n  unique-id-header x-request-id\n${routing(shape, files)}`}  default_backend app
backend app
  server app 127.0.0.1:${shape.backendPort}${serverOptions(shape)}
`);
  return { command: ['haproxy', '-db', '-f', file], stdoutFile: files.accessLog };
}

/** One lookup in a prefix tree of host and path, as its manual does large tables. */
function routing(shape: Shape, files: PeerFiles): string {
  if ((shape.routes ?? 1) === 1) return '';
  const map = join(files.dir, `${files.name}.map`);
  writeFileSync(map, `${routesOf(shape.routes ?? 1).map(({ host, prefix }) => `${host}${prefix} app`).join('\n')}\n`);
  return `  use_backend %[base,map_beg(${map})]\n`;
}

function bindOptions({ protocol, tlsIn }: Shape): string {
  const http2 = protocol === 'http2' ? ' proto h2' : '';
  if (!tlsIn) return http2;
  return `${http2} ssl crt ${tlsIn.leaf.bothFile}${tlsIn.clientCa === undefined ? '' : ` ca-file ${tlsIn.clientCa} verify required`}`;
}

function serverOptions({ protocol, tlsOut }: Shape): string {
  const http2 = protocol === 'http2' ? ' proto h2' : '';
  if (!tlsOut) return http2;
  return `${http2} ssl crt ${tlsOut.leaf.bothFile} ca-file ${tlsOut.ca} verify required verifyhost ${tlsOut.backend.dns} sni str(${tlsOut.backend.dns}) no-ssl-reuse`;
}

import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { maxConnections, routesOf, type PeerCommand, type PeerFiles, type Shape } from './shape.ts';

/** Where Debian's libnginx-mod-stream puts it. */
export const nginxStreamModule = '/usr/lib/nginx/modules/ngx_stream_module.so';

/** nginx as a proxy of this shape, with a buffered access log and a request id. */
export function nginx(shape: Shape, files: PeerFiles): PeerCommand {
  return { command: nginxCommand(files, shape.protocol === 'tcp' ? { stream: stream(shape, files) } : { http: http(shape, files) }) };
}

/** One process, in the foreground, no files outside its folder. */
export function nginxCommand({ dir, name }: Pick<PeerFiles, 'dir' | 'name'>, blocks: { readonly http?: string; readonly stream?: string }): readonly [string, ...string[]] {
  const file = join(dir, `${name}.conf`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${name}-${kind};`).join(' ');
  const module = blocks.stream !== undefined && existsSync(nginxStreamModule) ? `load_module ${nginxStreamModule};\n` : '';
  const httpBlock = blocks.http === undefined ? '' : `http { keepalive_timeout 3600s; keepalive_requests 100000000; keepalive_time 24h; client_max_body_size 0; ${temporary}\n${blocks.http}\n}\n`;
  writeFileSync(file, `${module}daemon off; master_process off; worker_processes 1; worker_rlimit_nofile ${maxConnections * 2}; pid ${dir}/${name}.pid; error_log stderr warn;
events { worker_connections ${maxConnections * 2}; }
${httpBlock}${blocks.stream === undefined ? '' : `stream {\n${blocks.stream}\n}\n`}`);
  return ['nginx', '-e', 'stderr', '-p', dir, '-c', file];
}

function http(shape: Shape, files: PeerFiles): string {
  const format = `log_format bench '[$time_iso8601] "$request" $status $body_bytes_sent $request_time $upstream_response_time "$http_x_forwarded_for" "$http_user_agent" "$request_id" "$host" "$upstream_addr"';`;
  return `${format} access_log ${files.accessLog} bench buffer=64k flush=1s;
upstream app { server 127.0.0.1:${shape.backendPort}; keepalive 64; keepalive_requests 100000000; keepalive_time 24h; }
${servers(shape, files)}`;
}

/** A server per host and a location per path. */
function servers(shape: Shape, files: PeerFiles): string {
  const forwarding = forward(shape);
  const open = `${tlsIn(shape)}`;
  const listen = `listen 127.0.0.1:${files.port}${shape.tlsIn ? ' ssl' : ''}${shape.protocol === 'http2' ? ' http2' : ''} backlog=4096`;
  if ((shape.routes ?? 1) === 1) return `server { ${listen}; ${open} location / { ${forwarding} } }`;
  const hosts = Map.groupBy(routesOf(shape.routes ?? 1), ({ host }) => host);
  return `server_names_hash_max_size 8192;\n${[...hosts].map(([host, routes], index) => `server { ${index === 0 ? listen : `listen 127.0.0.1:${files.port}`}; server_name ${host};\n${routes.map(({ prefix }) => `location ${prefix} { ${forwarding} }`).join('\n')} }`).join('\n')}`;
}

function forward(shape: Shape): string {
  if (shape.protocol === 'http2') return 'grpc_pass grpc://app; grpc_set_header X-Request-Id $request_id;';
  const connection = shape.upgrade ? 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 1h;' : 'proxy_set_header Connection "";';
  return `proxy_pass ${shape.tlsOut ? 'https' : 'http'}://app; proxy_http_version 1.1; ${connection} proxy_set_header X-Request-Id $request_id; ${tlsOut(shape)}`;
}

function tlsIn({ tlsIn: tls }: Shape): string {
  if (!tls) return '';
  const client = tls.clientCa === undefined ? '' : `ssl_client_certificate ${tls.clientCa}; ssl_verify_client on;`;
  return `ssl_certificate ${tls.leaf.certFile}; ssl_certificate_key ${tls.leaf.keyFile}; ssl_protocols TLSv1.3; ssl_session_tickets off; ssl_session_cache off; ${client}`;
}

function tlsOut({ tlsOut: tls }: Shape): string {
  if (!tls) return '';
  return `proxy_ssl_certificate ${tls.leaf.certFile}; proxy_ssl_certificate_key ${tls.leaf.keyFile}; proxy_ssl_trusted_certificate ${tls.ca}; proxy_ssl_verify on; proxy_ssl_name ${tls.backend.dns}; proxy_ssl_server_name on; proxy_ssl_protocols TLSv1.3; proxy_ssl_session_reuse off;`;
}

function stream(shape: Shape, files: PeerFiles): string {
  return `log_format bench '[$time_iso8601] $status $bytes_sent $bytes_received $session_time "$upstream_addr"'; access_log ${files.accessLog} bench buffer=64k flush=1s;
server { listen 127.0.0.1:${files.port}; proxy_pass 127.0.0.1:${shape.backendPort}; tcp_nodelay on; }`;
}

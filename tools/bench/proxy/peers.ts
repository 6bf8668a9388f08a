import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { programCommand } from '@meltemi/harness';
import { BenchChild, freePort } from '../child.ts';
import { sidecarBootstrap } from './sidecar-bootstrap.ts';

/** Who is measured. */
export const peerNames = ['meltemi', 'nginx', 'haproxy', 'http-proxy'] as const;
export type PeerName = (typeof peerNames)[number];

/** Where a peer's files go and what it talks to. */
export interface PeerPlace {
  readonly dir: string;
  readonly backendPort: number;
  readonly core: number | undefined;
}

/** A proxy that runs: one worker, in the foreground. */
export interface Peer {
  readonly name: PeerName | 'backend';
  readonly port: number;
  readonly child: BenchChild;
  /** Envoy's admin port; ours only. */
  readonly adminPort?: number;
}

/** Starts a peer on a free port and waits until it accepts. */
export async function startPeer(name: PeerName, place: PeerPlace): Promise<Peer> {
  const [port, adminPort] = [await freePort(), await freePort()];
  const peer = await started(name, port, commands[name](place, port, adminPort), place);
  return name === 'meltemi' ? { ...peer, adminPort } : peer;
}

/** The one backend of all: nginx with a 1 KB body in memory. */
export async function startBackend(place: Omit<PeerPlace, 'backendPort'>): Promise<Peer> {
  const port = await freePort();
  const body = 'meltemi '.repeat(128);
  return started('backend', port, nginx(place.dir, 'backend', `server { listen 127.0.0.1:${port}; location / { default_type text/plain; return 200 "${body}"; } }`), place);
}

async function started(name: Peer['name'], port: number, command: readonly [string, ...string[]], place: Omit<PeerPlace, 'backendPort'>): Promise<Peer> {
  const child = new BenchChild({ name, command, logFile: join(place.dir, `${name}.log`), core: place.core });
  await child.listening(port).catch(async (cause: unknown) => {
    await child.stop();
    throw cause;
  });
  return { name, port, child };
}

type Command = readonly [string, ...string[]];

const commands: Readonly<Record<PeerName, (place: PeerPlace, port: number, adminPort: number) => Command>> = {
  meltemi({ dir, backendPort }, port, adminPort) {
    const file = join(dir, 'bootstrap.json');
    writeFileSync(file, JSON.stringify(sidecarBootstrap({ port, backendPort, adminPort }), null, 1));
    return [...programCommand('proxy', 'bundle'), '-c', file, '--concurrency', '1', '--log-level', 'warning', '--state-dir', join(dir, 'meltemi-state')];
  },
  nginx: ({ dir, backendPort }, port) => nginx(dir, 'nginx', `upstream app { server 127.0.0.1:${backendPort}; keepalive 64; }
    server { listen 127.0.0.1:${port}; location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Request-Id $request_id; } }`),
  haproxy({ dir, backendPort }, port) {
    const file = join(dir, 'haproxy.cfg');
    writeFileSync(file, `global\n  nbthread 1\n  maxconn 1000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  timeout server 60s\n  http-reuse always
frontend in\n  bind 127.0.0.1:${port}\n  unique-id-format %[uuid()]\n  unique-id-header x-request-id\n  default_backend app\nbackend app\n  server app 127.0.0.1:${backendPort}\n`);
    return ['haproxy', '-db', '-f', file];
  },
  'http-proxy': ({ backendPort }, port) => [process.execPath, fileURLToPath(new URL('./http-proxy-peer.ts', import.meta.url)), String(port), String(backendPort)],
};

/** One process, no daemon, no files outside its folder. */
function nginx(dir: string, name: string, http: string): Command {
  const file = join(dir, `${name}.conf`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${name}-${kind};`).join(' ');
  writeFileSync(file, `daemon off; master_process off; worker_processes 1; pid ${dir}/${name}.pid; error_log stderr warn;
events { worker_connections 1024; }
http { access_log off; keepalive_timeout 300s; keepalive_requests 100000000; keepalive_time 24h; ${temporary}\n${http}\n}\n`);
  return ['nginx', '-e', 'stderr', '-p', dir, '-c', file];
}

import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { waitFor } from '@meltemi/base';
import { countCarelessly, readStrictly, type Meant } from '@meltemi/proxy/testing';
import { bootstrap, cluster, httpListener, httpOptions, route } from './bootstrap.ts';
import { startProxy, temporaryFolder } from './proxy-process.ts';

/** What one proxy made of one client's bytes. */
export interface Outcome {
  /** Requests that arrived whole at the backend, and were answered. */
  readonly requests: readonly Meant[];
  /** Connections to the backend whose bytes a careless server would read as more than one request. */
  readonly doubled: readonly string[];
  /** What the client got. */
  readonly answer: string;
}

export interface Attempt {
  readonly bytes: string;
  /** In the targets of its requests; other marks are earlier attempts', come late. */
  readonly mark: string;
  /** How long nothing may move before it counts as over. */
  readonly quietMs: number;
}

/** A proxy with places that each have an address and a backend of their own, so that cases run side by side and never mix. */
export interface Peer {
  readonly name: string;
  try(place: number, attempt: Attempt): Promise<Outcome>;
  stop(): Promise<void>;
}

export const places = 12;

/** Records what comes on each connection and answers each whole request with 200. */
class Recorder {
  connections: { text: string; answered: number; socket: net.Socket }[] = [];
  activity = 0;
  readonly #server = net.createServer((socket) => {
    const one = { text: '', answered: 0, socket };
    this.connections.push(one);
    this.activity++;
    socket.on('error', () => {}).on('data', (part: Buffer) => {
      one.text += part.toString('latin1');
      this.activity++;
      for (const whole = readStrictly(one.text, false).filter((request) => request.complete).length; one.answered < whole; one.answered++) socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    });
  });

  async listen(where: { readonly path: string } | { readonly port: number; readonly host: string }): Promise<number> {
    await new Promise<void>((resolve, reject) => this.#server.once('error', reject).listen(where, resolve));
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  /** What came since the last time, but for what other attempts marked; those connections end. */
  take(mark: string): string[] {
    const texts = this.connections.map((one) => one.text);
    for (const { socket } of this.connections.splice(0)) socket.destroy();
    return texts.filter((text) => text.includes(mark) || !/\?0\d{10}\b/.test(text));
  }

  stop(): void {
    this.take('');
    this.#server.close();
  }
}

/** Sends the bytes and waits until the proxy closes, or nothing has moved on either side for a while. */
async function exchange(target: net.NetConnectOpts, { bytes, mark, quietMs }: Attempt, recorder: Recorder): Promise<Outcome> {
  recorder.take('');
  const socket = net.connect(target);
  let answer = '';
  let closed = false;
  socket.on('data', (part: Buffer) => { answer += part.toString('latin1'); recorder.activity++; }).on('error', () => {}).on('end', () => { closed = true; }).on('close', () => { closed = true; });
  socket.write(Buffer.from(bytes, 'latin1'));
  for (let before = -1; !closed && before !== recorder.activity; ) {
    before = recorder.activity;
    await new Promise((resolve) => setTimeout(resolve, quietMs));
  }
  socket.destroy();
  const texts = recorder.take(mark);
  return { answer, requests: texts.flatMap((text) => readStrictly(text, false)).filter((request) => request.complete), doubled: texts.filter((text) => countCarelessly(text) > 1) };
}

function peerOf(name: string, targets: readonly net.NetConnectOpts[], recorders: readonly Recorder[], stop: () => Promise<void>): Peer {
  return {
    name,
    try: (place, attempt) => exchange(targets[place] as net.NetConnectOpts, attempt, recorders[place] as Recorder),
    stop: async () => {
      await stop();
      for (const recorder of recorders) recorder.stop();
    },
  };
}

async function recordersAt(paths: readonly string[]): Promise<Recorder[]> {
  return Promise.all(paths.map(async (path) => {
    const recorder = new Recorder();
    await recorder.listen({ path });
    return recorder;
  }));
}

const range = Array.from({ length: places }, (_, i) => i);

/** A program that listens on Unix sockets under its folder. */
async function program(name: string, command: (dir: string) => readonly [string, ...string[]], config: (at: (what: string) => string) => string): Promise<Peer> {
  const dir = temporaryFolder();
  const at = (what: string) => join(dir, what);
  const recorders = await recordersAt(range.map((i) => at(`backend-${i}`)));
  writeFileSync(at('conf'), config(at));
  const [file, ...args] = command(dir);
  const child: ChildProcess = spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: `${process.env['PATH']}:/usr/sbin` } });
  let errors = '';
  child.stderr?.on('data', (part: Buffer) => { errors += part.toString(); });
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()).once('error', (cause) => { errors += cause.message; resolve(); }));
  await waitFor(`${name} to listen: ${errors}`, () => range.every((i) => existsSync(at(`front-${i}`))), { deadlineMs: 15_000 }).catch((cause: unknown) => {
    child.kill('SIGKILL');
    for (const recorder of recorders) recorder.stop();
    throw new Error(`${name} did not start: ${errors}`, { cause });
  });
  return peerOf(name, range.map((i) => ({ path: at(`front-${i}`) })), recorders, async () => {
    child.kill('SIGKILL');
    await ended;
    rmSync(dir, { recursive: true, force: true });
  });
}

export const nginx = (): Promise<Peer> =>
  program('nginx', (dir) => ['nginx', '-p', dir, '-c', join(dir, 'conf'), '-e', join(dir, 'error.log')], (at) => `
daemon off; master_process off; pid ${at('pid')}; error_log ${at('error.log')} crit;
events { worker_connections 512; }
http {
  access_log off; client_body_temp_path ${at('body')}; proxy_temp_path ${at('proxy')}; fastcgi_temp_path ${at('f')}; uwsgi_temp_path ${at('u')}; scgi_temp_path ${at('s')};
  ${range.map((i) => `server { listen unix:${at(`front-${i}`)}; location / { proxy_pass http://unix:${at(`backend-${i}`)}:; proxy_http_version 1.1; proxy_set_header Connection close; } }`).join('\n  ')}
}
`);

export const haproxy = (): Promise<Peer> =>
  program('haproxy', (dir) => ['haproxy', '-db', '-q', '-f', join(dir, 'conf')], (at) => `
global
  maxconn 512
  nbthread 1
defaults
  mode http
  timeout connect 5s
  timeout client 20s
  timeout server 20s
  http-reuse never
${range.map((i) => `frontend front-${i}\n  bind unix@${at(`front-${i}`)}\n  default_backend back-${i}\nbackend back-${i}\n  server one unix@${at(`backend-${i}`)}\n`).join('')}
`);

/** Ours, as strict as it comes but for HTTP/1.0, which the others take too. */
export async function meltemi(): Promise<Peer> {
  const recorders = range.map(() => new Recorder());
  const ports = await Promise.all(recorders.map((recorder) => recorder.listen({ port: 0, host: '127.0.0.1' })));
  const once = httpOptions({ explicit_http_config: { http_protocol_options: {} }, common_http_protocol_options: { max_requests_per_connection: 1 } });
  const starting = startProxy(bootstrap(
    range.map((i) => httpListener({ name: `front-${i}`, routes: [route({ prefix: '/' }, `back-${i}`)], hcm: { http_protocol_options: { accept_http_10: true, default_host_for_http_10: 'a' } } })),
    range.map((i) => cluster(`back-${i}`, [ports[i] ?? 0], once)),
  ));
  const proxy = await starting.catch((cause: unknown) => {
    for (const recorder of recorders) recorder.stop();
    throw cause;
  });
  return peerOf('meltemi', range.map((i) => ({ port: proxy.port(`front-${i}`), host: '127.0.0.1' })), recorders, () => proxy[Symbol.asyncDispose]());
}

/**
 * CPU per request of one proxy worker beside nginx, in turn, from /proc. Steers work on the hot path; the published numbers come from the bench proper.
 * Usage: node tools/bench/proxy-quick.ts [seconds=3] [rounds=2]
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const seconds = Number(process.argv[2] ?? 3);
const rounds = Number(process.argv[3] ?? 2);
const dir = mkdtempSync(join(tmpdir(), 'proxy-quick-'));
const children: ChildProcess[] = [];

const freePort = () => new Promise<number>((resolve) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => {
    const { port } = server.address() as net.AddressInfo;
    server.close(() => resolve(port));
  });
});

function run(command: string, args: string[]): ChildProcess {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  return child;
}

function nginx(name: string, port: number, body: string): void {
  const config = join(dir, `${name}.conf`);
  writeFileSync(config, `daemon off; master_process off; worker_processes 1; pid ${dir}/${name}.pid; error_log stderr emerg;
events { worker_connections 1024; }
http { access_log off; keepalive_requests 1000000000; ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${dir}/${name}-${kind};`).join(' ')}
${body.replaceAll('PORT', String(port))} }`);
  run('nginx', ['-c', config, '-p', dir, '-e', 'stderr']);
}

async function reachable(port: number): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const ok = await new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      setTimeout(() => socket.destroy(), 20);
    });
    if (ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`nothing listens on ${port}`);
}

/** User and system CPU of a process, microseconds (100 ticks a second). */
function cpuUs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function measure(name: string, pid: number, port: number): Promise<number> {
  const wrk = run('wrk', ['-t1', '-c32', `-d${seconds}s`, `http://127.0.0.1:${port}/`]);
  let output = '';
  wrk.stdout?.on('data', (part: Buffer) => (output += part.toString()));
  const before = cpuUs(pid);
  await new Promise((resolve) => wrk.once('exit', resolve));
  const requests = Number(/(\d+) requests in/.exec(output)?.[1] ?? 0);
  const us = (cpuUs(pid) - before) / requests;
  const bad = /Non-2xx.*|Socket errors.*/.exec(output)?.[0] ?? '';
  console.log(`${name.padEnd(10)} ${us.toFixed(2)} µs/request  ${String(requests).padStart(7)} requests ${bad}`);
  return us;
}

async function main(): Promise<void> {
  const [origin, front, proxy] = [await freePort(), await freePort(), await freePort()];
  nginx('origin', origin, `server { listen 127.0.0.1:PORT backlog=1024; location / { return 200 "${'x'.repeat(1024)}"; } }`);
  nginx('front', front, `upstream u { server 127.0.0.1:${origin}; keepalive 64; keepalive_requests 1000000000; } server { listen 127.0.0.1:PORT backlog=1024; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Request-Id $request_id; proxy_set_header Host $host; } }`);
  const frontPid = children[1]?.pid ?? 0;
  const worker = run(process.execPath, [new URL('./proxy-quick-worker.ts', import.meta.url).pathname, String(proxy), String(origin)]);
  await Promise.all([origin, front, proxy].map(reachable));
  for (let round = 0; round < rounds; round++) {
    const a = await measure('nginx', frontPid, front);
    const b = await measure('meltemi', worker.pid ?? 0, proxy);
    console.log(`ratio      ${(b / a).toFixed(2)}`);
  }
}

main().finally(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

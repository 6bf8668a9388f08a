// Open-loop HTTP/1.1 load: requests are due at fixed times whether answers came or not, and latency counts from when a request was due. Argument: JSON
// of OpenLoop. Writes OpenLoopReport as JSON.
import { connect } from 'node:net';
import { performance } from 'node:perf_hooks';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

export interface OpenLoop {
  readonly port: number;
  readonly connections: number;
  readonly perSecond: number;
  readonly seconds: number;
}

/** Latencies in milliseconds. */
export interface OpenLoopReport {
  readonly requests: number;
  readonly errors: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  /** Requests that were due and not answered at the end. */
  readonly unanswered: number;
}

/** Times due, oldest first, of requests that wait for a free connection. More than this means that the peer cannot keep up. */
const maxWaiting = 100_000;

if (isMainThread) process.stdout.write(JSON.stringify(await load(JSON.parse(process.argv[2] ?? '{}') as OpenLoop)));
else pace(workerData as { readonly everyMs: number; readonly endAt: number });

/** Node's timers count whole milliseconds: a thread of its own waits to the microsecond. */
function pace({ everyMs, endAt }: { readonly everyMs: number; readonly endAt: number }): void {
  const never = new Int32Array(new SharedArrayBuffer(4));
  const now = () => performance.timeOrigin + performance.now();
  for (let at = now(); at < endAt; at += everyMs) {
    const wait = at - now();
    if (wait > 0) Atomics.wait(never, 0, 0, wait);
    parentPort?.postMessage(0);
  }
}

async function load({ port, connections, perSecond, seconds }: OpenLoop): Promise<OpenLoopReport> {
  const request = Buffer.from(`GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: open-loop\r\n\r\n`);
  const latencies: number[] = [];
  const waiting: number[] = [];
  const free: Connection[] = [];
  let errors = 0;
  const opened = await Promise.all(Array.from({ length: connections }, () => open(port, (connection, due, ok) => {
    latencies.push(performance.now() - due);
    if (!ok) errors++;
    const next = waiting.shift();
    if (next === undefined) free.push(connection);
    else connection.send(request, next);
  }, () => errors++)));
  free.push(...opened);

  const gapMs = 1000 / perSecond;
  const begin = performance.now() + 50;
  const endAt = begin + seconds * 1000;
  let due = begin;
  const pacer = new Worker(new URL(import.meta.url), { workerData: { everyMs: Math.max(gapMs, 0.2), endAt: performance.timeOrigin + endAt } });
  pacer.on('message', () => {
    const now = performance.now();
    for (; due <= now && due < endAt; due += gapMs) {
      const connection = free.shift();
      if (connection) connection.send(request, due);
      else if (waiting.length < maxWaiting) waiting.push(due);
      else errors++;
    }
  });
  await new Promise((resolve) => pacer.once('exit', resolve));
  const graceEnd = performance.now() + 2000;
  while (free.length < connections && performance.now() < graceEnd) await new Promise((resolve) => setTimeout(resolve, 10));
  for (const connection of opened) connection.close();
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
  return { requests: latencies.length, errors, p50: at(0.5), p90: at(0.9), p99: at(0.99), unanswered: connections - free.length + waiting.length };
}

interface Connection {
  send(request: Buffer, due: number): void;
  close(): void;
}

/** One keep-alive connection, one request at a time. */
function open(port: number, answered: (connection: Connection, due: number, ok: boolean) => void, failed: () => void): Promise<Connection> {
  return new Promise((resolve, reject) => {
    let due = 0;
    let left = -1;
    let ok = false;
    let closing = false;
    const connection: Connection = {
      send(request, at) {
        due = at;
        socket.write(request);
      },
      close() {
        closing = true;
        socket.destroy();
      },
    };
    // Heads come in one piece on loopback; anything else counts as a failure and shows.
    const read = (bytes: Buffer, from: number, to: number) => {
      if (left < 0) {
        const head = bytes.toString('latin1', from, to);
        const end = head.indexOf('\r\n\r\n');
        const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
        ok = end > 0 && length !== undefined && head.startsWith('HTTP/1.1 200');
        left = Number(length ?? 0) - (to - from - end - 4);
      } else left -= to - from;
      if (left > 0) return;
      left = -1;
      answered(connection, due, ok);
    };
    const buffer = Buffer.alloc(65_536);
    const socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer, callback: (size) => (read(buffer, 0, size), true) } });
    socket.once('connect', () => resolve(connection));
    socket.on('error', (cause) => (failed(), reject(cause)));
    socket.on('close', () => { if (!closing) failed(); });
  });
}

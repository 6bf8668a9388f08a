import { spawn } from 'node:child_process';
import { isIP } from 'node:net';
import { mathRandom, systemClock } from '@meltemi/base';
import { GrpcProbe, HttpProbe, TcpProbe, type Http2CodecOptions, type Probe, type ReadinessCheck } from '@meltemi/proxy';
import { defaultHttp2 } from '@meltemi/snapshot';
import { checkTransport } from '../transport/check-transport.ts';
import type { ClientTls } from '../transport/tls-client.ts';

/** Longest part of a reason that comes from outside. */
const longestReason = 300;
/** What waits to be sent to an application. */
const bufferLimit = 64 * 1024;

/**
 * Asks an application once whether it is ready: undefined when it is, else why not. Never rejects, and lets go of everything when `timeoutMs` are
 * over or `stop` says so.
 */
export function askApplication(check: ReadinessCheck, timeoutMs: number, stop: AbortSignal): Promise<string | undefined> {
  return new Promise((resolve) => {
    let letGo = () => {};
    const done = (reason: string | undefined) => {
      clearTimeout(timer);
      stop.removeEventListener('abort', stopped);
      letGo();
      resolve(reason?.slice(0, longestReason));
    };
    const stopped = () => done('nobody waits for an answer any more');
    const timer = setTimeout(() => done(`no answer within ${timeoutMs} ms`), timeoutMs);
    stop.addEventListener('abort', stopped);
    try {
      letGo = check.kind === 'exec' ? run(check.command, done) : start(probeOf(check, timeoutMs), done);
    } catch (cause) {
      done(cause instanceof Error ? cause.message : String(cause));
    }
  });
}

function start(probe: Probe, done: (reason: string | undefined) => void): () => void {
  probe.start((result) => done(result.kind === 'passed' ? undefined : result.reason));
  return () => probe.close();
}

/** The probes of active health checks. 2xx and 3xx are ready, and no redirect is followed. */
function probeOf(check: Exclude<ReadinessCheck, { readonly kind: 'exec' }>, timeoutMs: number): Probe {
  const { host, port } = check;
  const tls = check.kind === 'http' && check.scheme === 'https' ? unverified(host) : null;
  const transport = checkTransport(() => ({ target: { kind: 'ip', address: host, port }, connectTimeoutMs: timeoutMs, bufferLimit, tls }));
  const over = { transport, reuse: false, http2, onVerify: () => {} };
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  if (check.kind === 'tcp') return new TcpProbe({ kind: 'tcp', send: null, receive: [] }, transport, false);
  if (check.kind === 'grpc') return new GrpcProbe({ kind: 'grpc', serviceName: check.service, authority: '', metadata: [] }, { ...over, authority, scheme: 'http' });
  const fields = [['user-agent', 'istio-probe/1.0'], ...check.headers].map(([name = '', value = '']) => ({ action: 'overwrite', name: name.toLowerCase(), literal: value, formatter: null, keepEmptyValue: true }) as const);
  const requestHeaders = fields.filter(({ name }) => name !== 'host');
  const said = fields.findLast(({ name }) => name === 'host')?.literal;
  return new HttpProbe({
    kind: 'http', protocol: 'http1', method: 'GET', host: '', path: check.path, send: null, receive: [], responseBufferBytes: 0, expectedStatuses: [{ from: 200, to: 400 }], retriableStatuses: [], requestHeaders, serviceName: null,
  }, { ...over, authority: said ?? authority, scheme: check.scheme });
}

const http2: Http2CodecOptions = {
  http2: defaultHttp2, limits: { maxHeadBytes: 60 * 1024, maxFields: 1000 }, lingerMs: 1000, random: mathRandom, now: () => systemClock.monotonic(), after: (delayMs, task) => systemClock.after(delayMs, task),
};

/** Certificates are not verified: the application is its own workload's. */
function unverified(host: string): ClientTls {
  return { sni: '', alpn: [], verifies: false, notReady: null, local: null, connectOptions: () => ({ rejectUnauthorized: false, ...(isIP(host) === 0 && { servername: host }) }), refusal: () => null };
}

/** Exit code 0 is ready. A program that is let go is killed with all it started. */
function run([program, ...args]: readonly [string, ...string[]], done: (reason: string | undefined) => void): () => void {
  const child = spawn(program, args, { stdio: 'ignore', detached: true });
  let over = false;
  child.on('error', (cause) => done(cause.message));
  child.on('exit', (code, signal) => {
    over = true;
    done(code === 0 ? undefined : `${program} ended with ${code === null ? `signal ${signal}` : `exit code ${code}`}`);
  });
  return () => {
    if (!over && child.pid !== undefined) killGroup(child.pid);
  };
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has just ended by itself
  }
}

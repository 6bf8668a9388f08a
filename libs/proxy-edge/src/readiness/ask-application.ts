import { spawn } from 'node:child_process';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { Client, credentials } from '@grpc/grpc-js';
import { HealthCheckResponse_ServingStatus as Serving, HealthService } from '@meltemi/api/gen/grpc/health/v1/health.ts';
import type { ReadinessCheck } from '@meltemi/proxy';

/** Longest part of a reason that comes from outside. */
const longestReason = 300;

/** Asks an application once whether it is ready: undefined when it is, else why not. Never rejects, and lets go of everything within the timeout. */
export async function askApplication(check: ReadinessCheck, timeoutMs: number): Promise<string | undefined> {
  switch (check.kind) {
    case 'http':
      return askHttp(check, timeoutMs);
    case 'tcp':
      return askTcp(check, timeoutMs);
    case 'exec':
      return askProgram(check, timeoutMs);
    default:
      return askGrpc(check, timeoutMs);
  }
}

type Of<K extends ReadinessCheck['kind']> = Extract<ReadinessCheck, { readonly kind: K }>;

/** 2xx and 3xx are ready, and no redirect is followed. Certificates are not verified: the application is its own workload's. */
function askHttp({ scheme, host, port, path, headers }: Of<'http'>, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const common = { host, port, path, agent: false as const, headers: { 'user-agent': 'istio-probe/1.0', ...Object.fromEntries(headers) }, signal: AbortSignal.timeout(timeoutMs) };
    const asked = scheme === 'https' ? httpsRequest({ ...common, rejectUnauthorized: false }) : httpRequest(common);
    asked.on('response', (response) => {
      const status = response.statusCode ?? 0;
      response.destroy();
      resolve(status >= 200 && status < 400 ? undefined : `HTTP status ${status}`);
    });
    asked.on('error', (cause) => resolve(reasonOf(cause, timeoutMs)));
    asked.end();
  });
}

function askTcp({ host, port }: Of<'tcp'>, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const done = (reason: string | undefined) => {
      socket.destroy();
      resolve(reason);
    };
    socket.on('connect', () => done(undefined));
    socket.on('timeout', () => done(`no connection within ${timeoutMs} ms`));
    socket.on('error', (cause) => done(reasonOf(cause, timeoutMs)));
  });
}

/** Exit code 0 is ready. A program that takes longer is killed with all it started. */
function askProgram({ command: [program, ...args] }: Of<'exec'>, timeoutMs: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore', detached: true });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      if (child.pid !== undefined) killGroup(child.pid);
    }, timeoutMs);
    const done = (reason: string | undefined) => {
      clearTimeout(timer);
      resolve(reason);
    };
    child.on('error', (cause) => done(reasonOf(cause, timeoutMs)));
    child.on('exit', (code, signal) => done(late ? `${program} took longer than ${timeoutMs} ms` : code === 0 ? undefined : `${program} ended with ${code === null ? `signal ${signal}` : `exit code ${code}`}`));
  });
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has just ended by itself
  }
}

/** gRPC's own health service. */
function askGrpc({ host, port, service }: Of<'grpc'>, timeoutMs: number): Promise<string | undefined> {
  const { path, requestSerialize, responseDeserialize } = HealthService.check;
  const client = new Client(`${host.includes(':') ? `[${host}]` : host}:${port}`, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0, 'grpc.enable_http_proxy': 0 });
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, { deadline: Date.now() + timeoutMs }, (error, answer) => {
      client.close();
      if (error) resolve(reasonOf(error, timeoutMs));
      else resolve(answer?.status === Serving.SERVING ? undefined : `gRPC health status ${answer?.status ?? 'unknown'}`);
    });
  });
}

function reasonOf(cause: Error, timeoutMs: number): string {
  if (cause.name === 'AbortError' || cause.name === 'TimeoutError') return `no answer within ${timeoutMs} ms`;
  return cause.message.slice(0, longestReason);
}

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js';
import { waitFor } from '@meltemi/base';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { HTTPAccessLogEntry } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';
import { AccessLogServiceClient } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';

const launcher = join(import.meta.dirname, '..', '..', 'bin', 'meltemi-telemetry.js');

/** Telemetry programs of one test file, each on free ports, all gone after `remove()`. */
export class TelemetryProcesses {
  readonly folder = mkdtempSync(join(tmpdir(), 'meltemi-telemetry-'));
  readonly #children: ChildProcess[] = [];

  start(args: readonly string[]): TelemetryProcess {
    const portsFile = join(this.folder, `ports-${this.#children.length}.json`);
    const child = spawn(process.execPath, [launcher, '--http-listen', '127.0.0.1:0', '--listen', '127.0.0.1:0', '--ports-file', portsFile, ...args], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] } });
    this.#children.push(child);
    return new TelemetryProcess(child, portsFile);
  }

  remove(): void {
    for (const child of this.#children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class TelemetryProcess {
  readonly child: ChildProcess;
  readonly exit: Promise<number | null>;
  log = '';
  readonly #portsFile: string;

  constructor(child: ChildProcess, portsFile: string) {
    this.child = child;
    this.#portsFile = portsFile;
    this.exit = once(child, 'close').then(([code]: (number | null)[]) => code ?? null);
    child.stderr?.on('data', (data: Buffer) => (this.log += data.toString()));
  }

  ports(): Promise<Record<string, number>> {
    return waitFor(
      'the ports file',
      () => {
        assert.equal(this.child.exitCode, null, this.log);
        return existsSync(this.#portsFile) && (JSON.parse(readFileSync(this.#portsFile, 'utf8')) as { ports: Record<string, number> }).ports;
      },
      { deadlineMs: 20_000 },
    );
  }

  async get(path: string): Promise<Response> {
    return fetch(`http://127.0.0.1:${(await this.ports())['admin']}${path}`);
  }

  async ready(): Promise<void> {
    await waitFor(
      'readiness',
      async () => {
        const response = await this.get('/healthz/ready');
        assert.equal(response.status, 200, `${await response.text()}${this.log}`);
        return true;
      },
      { deadlineMs: 20_000 },
    );
  }
}

/** Streams `entries` to `address` as `node` would and waits for the answer; rejects with gRPC's error. */
export function report(address: string, message: { node: Node; entries: HTTPAccessLogEntry[] }, security: { credentials?: ChannelCredentials; options?: ChannelOptions } = {}): Promise<void> {
  const client = new AccessLogServiceClient(address, security.credentials ?? credentials.createInsecure(), security.options);
  return new Promise<void>((resolve, reject) => {
    const stream = client.streamAccessLogs({ deadline: Date.now() + 20_000 }, (error) => (error ? reject(error) : resolve()));
    stream.on('error', () => undefined);
    stream.end({ identifier: { node: message.node, logName: 'meltemi' }, logEntries: { $case: 'httpLogs', value: { logEntry: message.entries } } });
  }).finally(() => client.close());
}

import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChannelCredentials, Metadata, status, type ChannelOptions, type ServiceError } from '@grpc/grpc-js';
import { AggregatedDiscoveryServiceClient } from '@meltemi/api/gen/envoy/service/discovery/v3/ads.ts';
import { AccessLogServiceClient } from '@meltemi/api/gen/envoy/service/accesslog/v3/als.ts';
import { DiscoveryRequest, type DiscoveryResponse } from '@meltemi/api/gen/envoy/service/discovery/v3/discovery.ts';
import { IstioCertificateServiceClient } from '@meltemi/api/gen/istio/security/v1alpha1/ca.ts';
import { StatusServiceClient } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { waitFor } from '@meltemi/base';
import { buildCsr, generateP256 } from '@meltemi/identity';
import { mintJoinToken } from '@meltemi/identity-edge';
import { xdsType } from '@meltemi/xds';
import { MeshProcess } from '../../process.ts';
import { programCommand, type ProgramName } from '../../programs.ts';
import { Forger, type Forged } from './forger.ts';

/** The doors of the control plane that take certificates. */
export const doors = ['pilot', 'config', 'citadel', 'telemetry'] as const;
export type Door = (typeof doors)[number];

/** What became of a call: the gRPC status, and what was said. */
export interface Outcome {
  readonly code: number;
  readonly details: string;
}

const deadlineMs = 15_000;

/** Real citadel, pilot and telemetry, of an authority whose keys the test has, with everything in one folder and logs at their most talkative. */
export class ControlPlane {
  readonly dir = mkdtempSync(join(tmpdir(), 'control-plane-'));
  readonly forger = new Forger();
  readonly #processes = new Map<ProgramName, MeshProcess>();
  readonly #closers: (() => void)[] = [];

  async start(programs: readonly ProgramName[] = ['citadel', 'pilot', 'telemetry']): Promise<this> {
    for (const folder of ['config', 'logs', 'ports', 'tokens']) mkdirSync(join(this.dir, folder), { recursive: true, mode: 0o700 });
    this.forger.plugInto(join(this.dir, 'cacerts'));
    await this.#run('citadel', ['--socket', this.citadelSocket, '--cacerts', join(this.dir, 'cacerts'), '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0']);
    const member = async (name: string) => ['--citadel-address', `127.0.0.1:${this.port('citadel')}`, '--join-token-file', await this.tokenFile(`spiffe://cluster.local/ns/istio-system/sa/meltemi-${name}`)];
    const starts: Promise<void>[] = [];
    if (programs.includes('pilot')) starts.push(this.#run('pilot', [...(await member('pilot')), '--config-dir', join(this.dir, 'config'), '--config-socket', this.configSocket, '--listen', '127.0.0.1:0', '--config-listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--debounce-after', '20ms']));
    if (programs.includes('telemetry')) starts.push(this.#run('telemetry', [...(await member('telemetry')), '--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0']));
    await Promise.all(starts);
    await Promise.all([...this.#processes.keys()].map((name) => waitFor(`${name} to be ready`, async () => (await fetch(`http://127.0.0.1:${this.adminPort(name)}/healthz/ready`)).ok, { deadlineMs: 30_000 })));
    return this;
  }

  get citadelSocket(): string {
    return join(this.dir, 'citadel.sock');
  }

  get configSocket(): string {
    return join(this.dir, 'config.sock');
  }

  program(name: ProgramName): MeshProcess {
    const found = this.#processes.get(name);
    if (!found) throw new Error(`${name} was not started`);
    return found;
  }

  port(door: Door): number {
    const [program, name] = ({ pilot: ['pilot', 'xds'], config: ['pilot', 'config'], citadel: ['citadel', 'grpc'], telemetry: ['telemetry', 'als'] } as const)[door];
    return this.program(program).ports()[name] ?? 0;
  }

  adminPort(program: ProgramName): number {
    return this.program(program).ports()['admin'] ?? 0;
  }

  log(program: ProgramName): string {
    return readFileSync(this.program(program).spec.logFile, 'utf8');
  }

  /** Resident megabytes of a program. */
  memoryMb(program: ProgramName): number {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${this.program(program).pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
  }

  mint(spiffeId: string): Promise<string> {
    return mintJoinToken(this.citadelSocket, spiffeId);
  }

  async tokenFile(spiffeId: string): Promise<string> {
    const file = join(this.dir, 'tokens', spiffeId.replaceAll(/\W/g, '-'));
    writeFileSync(file, await this.mint(spiffeId), { mode: 0o600 });
    chmodSync(file, 0o600);
    return file;
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.dir, 'config', name), text);
  }

  /** A context file for the command line. */
  writeContext(context: object): void {
    writeFileSync(join(this.dir, 'context.json'), JSON.stringify(context), { mode: 0o600 });
  }

  credentials({ chain, key }: Forged): ChannelCredentials {
    return ChannelCredentials.createSsl(Buffer.from(this.forger.root.certificate.pem), Buffer.from(key), Buffer.from(chain), { checkServerIdentity: () => undefined });
  }

  /** The one call that an honest client of a door makes, with these credentials and a new connection. */
  call(door: Door, certificate: Forged, account = 'default/honest'): Promise<Outcome> {
    const credentials = this.credentials(certificate);
    switch (door) {
      case 'pilot': return this.xds(credentials, nodeOf(account)).then(({ outcome }) => outcome);
      case 'config': return this.#version(credentials);
      case 'citadel': return this.csr(buildCsr(generateP256().privateKey, {}), { credentials });
      case 'telemetry': return this.report(credentials, nodeOf(account));
    }
  }

  /** The clusters that pilot sends to a node, or why it does not. */
  xds(credentials: ChannelCredentials, node: ReturnType<typeof nodeOf>): Promise<{ readonly outcome: Outcome; readonly response?: DiscoveryResponse }> {
    const client = this.#closing(new AggregatedDiscoveryServiceClient(this.#address('pilot'), credentials, options));
    return new Promise((resolve) => {
      const stream = client.streamAggregatedResources({ deadline: Date.now() + deadlineMs });
      stream.on('data', (response: DiscoveryResponse) => {
        resolve({ outcome: fine, response });
        stream.cancel();
        client.close();
      });
      stream.on('error', (error: ServiceError) => resolve({ outcome: outcomeOf(error) }));
      stream.write({ ...DiscoveryRequest.decode(new Uint8Array()), node, typeUrl: xdsType.cluster });
    });
  }

  csr(csr: string, by: { readonly credentials?: ChannelCredentials; readonly token?: string }): Promise<Outcome & { readonly chain: readonly string[] }> {
    const credentials = by.credentials ?? ChannelCredentials.createSsl(Buffer.from(this.forger.root.certificate.pem), null, null, { checkServerIdentity: () => undefined });
    const client = this.#closing(new IstioCertificateServiceClient(this.#address('citadel'), credentials, options));
    const metadata = new Metadata();
    if (by.token !== undefined) metadata.set('authorization', `Bearer ${by.token.trim()}`);
    return new Promise((resolve) => {
      client.createCertificate({ csr, validityDuration: 0n, metadata: undefined }, metadata, { deadline: Date.now() + deadlineMs }, (error, response) => {
        client.close();
        resolve(error ? { ...outcomeOf(error), chain: [] } : { ...fine, chain: response.certChain });
      });
    });
  }

  report(credentials: ChannelCredentials, node: ReturnType<typeof nodeOf>): Promise<Outcome> {
    const client = this.#closing(new AccessLogServiceClient(this.#address('telemetry'), credentials, options));
    return new Promise((resolve) => {
      const stream = client.streamAccessLogs({ deadline: Date.now() + deadlineMs }, (error) => {
        client.close();
        resolve(error ? outcomeOf(error) : fine);
      });
      stream.on('error', () => undefined);
      stream.end({ identifier: { node, logName: 'meltemi' }, logEntries: { $case: 'httpLogs', value: { logEntry: [] } } });
    });
  }

  #version(credentials: ChannelCredentials): Promise<Outcome> {
    const client = this.#closing(new StatusServiceClient(this.#address('config'), credentials, options));
    return new Promise((resolve) => {
      client.version({}, new Metadata(), { deadline: Date.now() + deadlineMs }, (error) => {
        client.close();
        resolve(error ? outcomeOf(error) : fine);
      });
    });
  }

  async stop(): Promise<void> {
    for (const close of this.#closers) close();
    await Promise.all([...this.#processes.values()].map((process) => process.kill()));
    rmSync(this.dir, { recursive: true, force: true });
  }

  #address(door: Door): string {
    return `127.0.0.1:${this.port(door)}`;
  }

  #closing<T extends { close(): void }>(client: T): T {
    this.#closers.push(() => client.close());
    return client;
  }

  async #run(name: ProgramName, args: readonly string[]): Promise<void> {
    const portsFile = join(this.dir, 'ports', `${name}.json`);
    const process = new MeshProcess({ name, command: [...programCommand(name, 'source'), '--state-dir', join(this.dir, name), '--log-level', 'trace', '--ports-file', portsFile, ...args], logFile: join(this.dir, 'logs', name), portsFile });
    this.#processes.set(name, process);
    await process.start();
  }
}

const options: ChannelOptions = { 'grpc.ssl_target_name_override': 'mesh', 'grpc.default_authority': 'mesh', 'grpc.use_local_subchannel_pool': 1, 'grpc.enable_retries': 0 };
const fine: Outcome = { code: status.OK, details: '' };

function outcomeOf({ code, details }: ServiceError): Outcome {
  return { code, details };
}

/** What a sidecar of "namespace/account" says of itself; `more` lies. */
export function nodeOf(account: string, more: { readonly id?: string; readonly metadata?: Readonly<Record<string, unknown>> } = {}) {
  const [namespace = '', name = ''] = account.split('/');
  return {
    id: more.id ?? `sidecar~10.66.0.1~${name}-0.${namespace}~${namespace}.svc.cluster.local`, cluster: '', locality: undefined, userAgentName: 'test', dynamicParameters: {}, extensions: [], clientFeatures: [], listeningAddresses: [],
    metadata: { NAMESPACE: namespace, SERVICE_ACCOUNT: name, ...more.metadata },
  };
}

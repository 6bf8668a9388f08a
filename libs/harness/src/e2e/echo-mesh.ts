import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { get, LiveConfig, LocalMesh, repository, type RunningWorkload } from '../index.ts';
import { programsFrom } from './bookinfo-mesh.ts';

/** Hosts of the mesh, each with the subsets v1 and v2. */
export const hosts = ['flip', 'steady', 'victim', 'worse'] as const;
export type Host = (typeof hosts)[number];

export const fullName = (host: Host) => `${host}.default.svc.cluster.local`;

/** A mesh of one echo in two versions behind four host names, a client and a gateway that knows them all. */
export class EchoMesh {
  readonly mesh: LocalMesh;
  readonly #folder: string;
  #config: LiveConfig | undefined;

  private constructor(mesh: LocalMesh, folder: string) {
    this.mesh = mesh;
    this.#folder = folder;
  }

  static async start(net: number): Promise<EchoMesh> {
    const workDir = mkdtempSync(join(tmpdir(), 'meltemi-e2e-'));
    const folder = join(workDir, 'written');
    mkdirSync(folder);
    writeFileSync(join(folder, 'mesh.yaml'), manifests);
    const started = new EchoMesh(new LocalMesh({ workDir, net, from: programsFrom, manifests: [join(repository, 'deploy/laptop/control-plane.yaml'), folder] }), folder);
    try {
      await started.mesh.start();
    } catch (cause) {
      await started.stop();
      throw cause;
    }
    return started;
  }

  async stop(): Promise<void> {
    this.#config?.close();
    await this.mesh.stop();
    if (process.env['MELTEMI_E2E_KEEP'] === undefined) rmSync(this.mesh.options.workDir, { recursive: true, force: true });
    else console.error(`kept: ${this.mesh.options.workDir}`);
  }

  /** Pilot's config API; also after pilot came back. */
  get config(): LiveConfig {
    return (this.#config ??= new LiveConfig(this.mesh.configSocket));
  }

  /** Writes a file of the directory that pilot watches. */
  write(name: string, yaml: string): void {
    writeFileSync(join(this.#folder, `.${name}`), yaml);
    renameSync(join(this.#folder, `.${name}`), join(this.#folder, name));
  }

  get client(): RunningWorkload {
    return this.mesh.workload('client');
  }

  /** A request's address on the gateway, or on the client's sidecar; the Host header says where it is to go. */
  url(by: 'gateway' | 'sidecar', path = '/'): string {
    return by === 'gateway' ? `http://${this.mesh.gateway.address}:8080${path}` : `http://${this.client.address}:15002${path}`;
  }

  /** Which version answers, or the status when none does. */
  async version(host: Host, by: 'gateway' | 'sidecar', path = '/'): Promise<string> {
    const { status, body } = await get(this.url(by, path), { headers: { host: fullName(host) } });
    return status === 200 ? (JSON.parse(body) as { version: string }).version : `status ${status}`;
  }
}

/** A VirtualService of the gateway and the mesh that sends a host to one subset. */
export function to(host: Host, subset: string, more: Readonly<Record<string, unknown>> = {}): string {
  return `${JSON.stringify({
    apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata: { name: host, namespace: 'default' },
    spec: { hosts: [fullName(host)], gateways: ['mesh', 'web'], http: [{ route: [{ destination: { host: fullName(host), subset } }], ...more }] },
  })}\n`;
}

/** A DestinationRule that gives the two versions these names. */
export function subsets(host: Host, names: { readonly v1: string; readonly v2: string }): string {
  return `${JSON.stringify({
    apiVersion: 'networking.istio.io/v1', kind: 'DestinationRule', metadata: { name: host, namespace: 'default' },
    spec: { host: fullName(host), subsets: Object.entries(names).map(([version, name]) => ({ name, labels: { version } })) },
  })}\n`;
}

/** A Gateway with these ports. */
export function gateway(name: string, ...ports: readonly number[]): string {
  return `${JSON.stringify({
    apiVersion: 'networking.istio.io/v1', kind: 'Gateway', metadata: { name, namespace: 'default' },
    spec: { selector: { istio: 'ingressgateway' }, servers: ports.map((number) => ({ port: { number, name: `http-${number}`, protocol: 'HTTP' }, hosts: ['*'] })) },
  })}\n`;
}

const deployment = (name: string, labels: Readonly<Record<string, string>>, version: string) => JSON.stringify({
  apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name, namespace: 'default' },
  spec: { replicas: 1, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: 'echo', image: 'meltemi/echo', args: ['--http', '8080', '--version', version], ports: [{ containerPort: 8080 }] }] } } },
});
const service = (name: string) => JSON.stringify({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: 'default' }, spec: { ports: [{ name: 'http', port: 80, targetPort: 8080 }], selector: { app: 'echo' } } });

const manifests = [
  deployment('echo-v1', { app: 'echo', version: 'v1' }, 'v1'), deployment('echo-v2', { app: 'echo', version: 'v2' }, 'v2'), deployment('client', { app: 'client', version: 'v1' }, 'v1'),
  ...hosts.flatMap((host) => [service(host), subsets(host, { v1: 'v1', v2: 'v2' })]), gateway('web', 8080),
].join('\n---\n');

import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '@meltemi/base';
import { mintJoinToken } from '@meltemi/identity-edge';
import { addressPlan, type AddressPlan } from './addresses.ts';
import { readDeployments, type Deployment } from './manifests.ts';
import { MeshProcess } from './process.ts';
import { imageProgram, programCommand, repository, type ProgramName } from './programs.ts';
import { isGateway, podName, podObject, proxyIdentity, type Workload } from './workload.ts';

/** What a laptop mesh is made of. */
export interface LocalMeshOptions {
  /** State, logs, sockets and the context file go here. */
  readonly workDir: string;
  /** Files or directories of plain YAML: the registry and the configuration. Deployments in them are run. */
  readonly manifests: readonly string[];
  /** 1 to 254: sets meshes on one machine apart. Default 77. */
  readonly net?: number;
  /** Run sources (default) or bundles. */
  readonly from?: 'source' | 'bundle';
  /** MeshConfig file; default deploy/laptop/mesh.yaml. */
  readonly meshConfig?: string;
  /** Pilot's --store; default: embedded, in the state directory. */
  readonly store?: string;
  /** Extra flags of pilot, such as --etcd-cacert. */
  readonly pilotArgs?: readonly string[];
  /** Default cluster.local; the MeshConfig must say the same. */
  readonly trustDomain?: string;
  /** Extra flags of citadel, such as --bundle-listen. */
  readonly citadelArgs?: readonly string[];
  /** Extra flags of each proxy, by its Deployment's name, such as --workload-socket. */
  readonly proxyArgs?: (deployment: string) => readonly string[];
  /** Without telemetry: nothing is reported. */
  readonly withoutTelemetry?: boolean;
  /** Extra flags of telemetry, such as --own-prometheus. */
  readonly telemetryArgs?: readonly string[];
  /** The gateway's address; default: the next workload address. npm start uses 127.0.0.1. */
  readonly gatewayAddress?: string;
  /** The control plane's address; default 127.<net>.0.1 with the default ports. */
  readonly controlAddress?: string;
  /** Also serve xDS in plaintext on loopback. */
  readonly plaintextXds?: boolean;
  readonly logLevel?: string;
  /** Told of every step, for a progress display. */
  readonly onStep?: (text: string) => void;
}

/** One workload's processes. */
export interface RunningWorkload extends Workload {
  readonly app: MeshProcess | undefined;
  readonly proxy: MeshProcess;
}

/** A whole mesh of real processes on this machine's loopback addresses: pilot, citadel, telemetry, gateway, applications and their sidecars. */
export class LocalMesh {
  readonly options: LocalMeshOptions;
  readonly workloads: RunningWorkload[] = [];
  readonly control: string;
  readonly citadel: MeshProcess;
  readonly pilot: MeshProcess;
  readonly telemetry: MeshProcess;
  readonly #plan: AddressPlan;
  readonly #trustDomain: string;

  constructor(options: LocalMeshOptions) {
    this.options = options;
    this.#trustDomain = options.trustDomain ?? 'cluster.local';
    this.#plan = addressPlan(options.net ?? 77);
    this.control = options.controlAddress ?? this.#plan.control;
    for (const dir of ['logs', 'ports', 'tokens', 'registry', 'state', 'run']) mkdirSync(join(options.workDir, dir), { recursive: true, mode: 0o700 });
    this.citadel = this.#program('citadel', [
      '--listen', `${this.control}:15022`, '--admin-listen', `${this.control}:15023`, '--socket', this.citadelSocket, '--state-dir', this.#state('citadel'), '--trust-domain', this.#trustDomain, ...(options.citadelArgs ?? []),
    ]);
    this.pilot = this.#program('pilot', this.#pilotArgs());
    this.telemetry = this.#program('telemetry', [
      '--listen', `${this.#plan.telemetry}:15030`, '--http-listen', `${this.control}:15031`,
      '--citadel-address', `${this.control}:15022`, '--join-token-file', this.#token('telemetry'), '--state-dir', this.#state('telemetry'), '--trust-domain', this.#trustDomain, ...(options.telemetryArgs ?? []),
    ]);
  }

  get citadelSocket(): string {
    return join(this.options.workDir, 'run/citadel.sock');
  }

  get configSocket(): string {
    return join(this.options.workDir, 'run/config.sock');
  }

  get contextFile(): string {
    return join(this.options.workDir, 'context.json');
  }

  get gateway(): RunningWorkload {
    const found = this.workloads.find((workload) => workload.gateway);
    if (!found) throw new Error('this mesh runs no gateway');
    return found;
  }

  /** The running workloads of a Deployment. */
  workload(deployment: string): RunningWorkload {
    const found = this.workloads.find((workload) => workload.deployment.name === deployment);
    if (!found) throw new Error(`no workload of Deployment ${deployment} runs; there are: ${this.workloads.map((w) => w.deployment.name).join(', ')}`);
    return found;
  }

  /** Starts everything in the order trust needs: citadel, pilot and telemetry, then workloads. Rejects naming what did not start; the caller then calls stop(). */
  async start(): Promise<void> {
    this.#say('citadel: certificate authority');
    await this.citadel.start();
    await this.#mint('pilot', 'istio-system', 'meltemi-pilot');
    const telemetry = this.options.withoutTelemetry !== true;
    if (telemetry) {
      await this.#mint('telemetry', 'istio-system', 'meltemi-telemetry');
      this.#writeTelemetryPod();
    }
    const deployments = readDeployments(this.options.manifests);
    const planned = deployments.flatMap((deployment) => Array.from({ length: deployment.replicas }, () => this.#plan1(deployment)));
    for (const workload of planned) this.#writePod(workload, true);
    this.#say('pilot: configuration and discovery');
    if (telemetry) this.#say('telemetry: reports and the service graph');
    await Promise.all([this.pilot.start(), ...(telemetry ? [this.telemetry.start()] : [])]);
    for (const workload of planned) this.#say(`${workload.gateway ? 'gateway' : 'workload'}: ${workload.deployment.name}`);
    await Promise.all(planned.map((workload) => this.#run(workload)));
    this.#writeContext();
    await this.#allReady();
  }

  /** Stops every process, newest first; nothing is left behind. */
  async stop(): Promise<void> {
    await Promise.all(this.workloads.flatMap((workload) => (workload.app ? [workload.app.stop(), workload.proxy.stop()] : [workload.proxy.stop()])));
    await Promise.all([this.pilot.stop(), this.telemetry.stop()]);
    await this.citadel.stop();
    rmSync(this.contextFile, { force: true });
  }

  /** A fresh join token in every program's token file, as somebody brings them when certificates have ended. Citadel must run. */
  async freshTokens(): Promise<void> {
    await this.#mint('pilot', 'istio-system', 'meltemi-pilot');
    await this.#mint('telemetry', 'istio-system', 'meltemi-telemetry');
    for (const { podName: pod, deployment } of this.workloads) await this.#mint(pod, deployment.namespace, deployment.serviceAccount);
  }

  /** The sidecar of one more pod of a Deployment, without an application; its token is minted now. Start and stop it yourself. */
  async sidecarOf(deployment: string): Promise<RunningWorkload> {
    const workload = this.#plan1(this.workload(deployment).deployment);
    await this.#mint(workload.podName, workload.deployment.namespace, workload.deployment.serviceAccount);
    return { ...workload, app: undefined, proxy: this.#proxy(workload) };
  }

  /** Every process, by name. */
  processes(): MeshProcess[] {
    return [this.citadel, this.pilot, this.telemetry, ...this.workloads.flatMap((workload) => (workload.app ? [workload.app, workload.proxy] : [workload.proxy]))];
  }

  #pilotArgs(): string[] {
    const { options } = this;
    return [
      ...options.manifests.flatMap((path) => ['--config-dir', path]), '--config-dir', join(options.workDir, 'registry'),
      '--mesh-config', options.meshConfig ?? join(repository, 'deploy/laptop/mesh.yaml'),
      ...(options.store ? ['--store', options.store] : []), ...(options.pilotArgs ?? []),
      '--state-dir', this.#state('pilot'), '--listen', `${this.control}:15012`, '--admin-listen', `${this.control}:15014`, '--config-listen', `${this.control}:15016`,
      '--config-socket', this.configSocket, ...(options.plaintextXds ? ['--plaintext-listen', `${this.control}:15010`] : []),
      '--citadel-address', `${this.control}:15022`, '--join-token-file', this.#token('pilot'), '--trust-domain', this.#trustDomain,
    ];
  }

  #plan1(deployment: Deployment): Workload {
    const gateway = isGateway(deployment);
    const addresses = this.#plan.next();
    return { deployment, gateway, podName: podName(deployment), address: gateway ? (this.options.gatewayAddress ?? addresses.workload) : addresses.workload, appAddress: addresses.app };
  }

  async #run(workload: Workload): Promise<void> {
    await this.#mint(workload.podName, workload.deployment.namespace, workload.deployment.serviceAccount);
    const app = workload.gateway ? undefined : this.#app(workload);
    const proxy = this.#proxy(workload);
    this.workloads.push({ ...workload, app, proxy });
    await Promise.all([app?.start(), proxy.start()]);
  }

  #app(workload: Workload): MeshProcess {
    const { container } = workload.deployment;
    const image = imageProgram(container.image, container.args);
    if (!image) throw new Error(`Deployment ${workload.deployment.name}: this machine has no program for image ${container.image}; the laptop mesh runs the Bookinfo and echo images`);
    const proxyUrl = `http://${workload.address}:15002`;
    return new MeshProcess({
      name: `${workload.podName} (application)`,
      command: [...programCommand(image.program, this.options.from ?? 'source'), ...image.args],
      env: { ...image.env, ...container.env, HOST: workload.appAddress, POD_NAME: workload.podName, NODE_USE_ENV_PROXY: '1', http_proxy: proxyUrl, no_proxy: '' },
      logFile: this.#log(`${workload.podName}.app`),
    });
  }

  #proxy(workload: Workload): MeshProcess {
    const identity = proxyIdentity(workload);
    return this.#program('proxy', [
      '--service-node', identity.serviceNode, '--discovery-address', `${this.control}:15012`, '--citadel-address', `${this.control}:15022`,
      '--join-token-file', this.#token(workload.podName), '--state-dir', this.#state(workload.podName), '--trust-domain', this.#trustDomain,
      // The application ends at the same time as its sidecar: nothing is left to wait for.
      '--minimum-drain-duration', '0s', ...(this.options.proxyArgs?.(workload.deployment.name) ?? []),
    ], workload.podName, identity.env);
  }

  #program(program: ProgramName, args: readonly string[], name: string = program, env: Readonly<Record<string, string>> = {}): MeshProcess {
    const portsFile = join(this.options.workDir, 'ports', `${name}.json`);
    const level = this.options.logLevel ? ['--log-level', this.options.logLevel] : [];
    return new MeshProcess({ name, command: [...programCommand(program, this.options.from ?? 'source'), ...args, ...level, '--ports-file', portsFile], env, logFile: this.#log(name), portsFile });
  }

  #log(name: string): string {
    return join(this.options.workDir, 'logs', `${name}.log`);
  }

  #state(name: string): string {
    return join(this.options.workDir, 'state', name);
  }

  #token(name: string): string {
    return join(this.options.workDir, 'tokens', name);
  }

  async #mint(name: string, namespace: string, serviceAccount: string): Promise<void> {
    const token = await mintJoinToken(this.citadelSocket, `spiffe://${this.#trustDomain}/ns/${namespace}/sa/${serviceAccount}`);
    writeFileSync(this.#token(name), `${token}\n`, { mode: 0o600 });
  }

  #writePod(workload: Workload, ready: boolean): void {
    const file = join(this.options.workDir, 'registry', `pod-${workload.podName}.yaml`);
    writeFileSync(`${file}.tmp`, podObject(workload, ready), { mode: 0o600 });
    renameSync(`${file}.tmp`, file);
  }

  #writeTelemetryPod(): void {
    const deployment: Deployment = {
      name: 'telemetry', namespace: 'istio-system', replicas: 1, labels: { app: 'telemetry', 'sidecar.istio.io/inject': 'false' }, annotations: {}, serviceAccount: 'meltemi-telemetry',
      container: { name: 'telemetry', image: 'meltemi/telemetry', args: [], env: {}, ports: [{ containerPort: 15030 }] },
    };
    this.#writePod({ deployment, gateway: false, podName: 'telemetry', address: this.#plan.telemetry, appAddress: this.#plan.telemetry }, true);
  }

  #writeContext(): void {
    const context = {
      configSocket: this.configSocket, citadelSocket: this.citadelSocket, pilot: `http://${this.control}:15014`, telemetry: `http://${this.control}:15031`,
      gateway: this.workloads.some((workload) => workload.gateway) ? `http://${this.gateway.address}:8080` : undefined,
      proxies: this.workloads.map((workload) => ({ id: `${workload.podName}.${workload.deployment.namespace}`, admin: `http://${workload.address}:15000` })),
    };
    writeFileSync(this.contextFile, `${JSON.stringify(context, null, 2)}\n`, { mode: 0o600 });
  }

  async #allReady(): Promise<void> {
    this.#say('waiting until every proxy has its configuration');
    await Promise.all(this.workloads.map((workload) => waitFor(`${workload.podName} to be ready (log: ${workload.proxy.spec.logFile})`, async () => {
      if (!workload.proxy.running) throw new Error(`the proxy ended:\n${workload.proxy.tail()}`);
      const reply = await fetch(`http://${workload.address}:15021/healthz/ready`, { signal: AbortSignal.timeout(2000) });
      await reply.text();
      return reply.ok;
    }, { deadlineMs: 60_000, everyMs: 100 })));
  }

  #say(text: string): void {
    this.options.onStep?.(text);
  }
}

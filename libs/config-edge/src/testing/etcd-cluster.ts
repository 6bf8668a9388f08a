import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor, withDeadline } from '@meltemi/base';

export interface EtcdClusterOptions {
  /** 1 or 3; default 1. */
  readonly members?: number;
  /** PEM files: clients must then come over TLS with a certificate of `caFile`. */
  readonly tls?: { readonly caFile: string; readonly certFile: string; readonly keyFile: string };
}

export interface EtcdMember {
  readonly name: string;
  /** host:port for clients. */
  readonly endpoint: string;
  readonly running: boolean;
  /** Ends the process (default SIGKILL) and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same data and ports; resolves when it answers. */
  restart(): Promise<void>;
}

/** A real etcd of Debian's etcd-server in a temporary directory. */
export interface EtcdCluster {
  readonly members: readonly EtcdMember[];
  readonly endpoints: readonly string[];
  /** The running member that leads; waits for one. */
  leader(): Promise<EtcdMember>;
  /** Kills every member and removes the data. */
  stop(): Promise<void>;
}

/** Starts etcd on free loopback ports and waits, at most 30 s, until every member is healthy. Throws with what to install when there is no etcd. */
export async function startEtcdCluster(options: EtcdClusterOptions = {}): Promise<EtcdCluster> {
  // A port that was free may be taken before etcd binds it, so a start that fails gets other ports.
  for (let attempt = 1; ; attempt += 1) {
    const directory = await mkdtemp(join(tmpdir(), 'meltemi-etcd-'));
    const members = await makeMembers(directory, options);
    const cluster = clusterOf(directory, members);
    try {
      await Promise.all(members.map((member) => member.start()));
      return cluster;
    } catch (cause) {
      await cluster.stop();
      if (attempt === 3 || (cause instanceof Error && cause.message.includes('not installed'))) throw cause;
    }
  }
}

function clusterOf(directory: string, members: readonly Member[]): EtcdCluster {
  return {
    members,
    endpoints: members.map((member) => member.endpoint),
    leader: () =>
      waitFor(
        'an etcd leader',
        async () => {
          for (const member of members) if (member.running && (await member.leads())) return member;
          return undefined;
        },
        { deadlineMs: 20_000, everyMs: 50 },
      ),
    stop: async () => {
      await Promise.all(members.map((member) => member.kill()));
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function makeMembers(directory: string, { members = 1, tls }: EtcdClusterOptions): Promise<Member[]> {
  const ports = await freePorts(members * 3);
  const parts = Array.from({ length: members }, (_, index) => {
    const [client = 0, peer = 0, metrics = 0] = ports.slice(index * 3, index * 3 + 3);
    return { name: `m${index + 1}`, client, peerUrl: `http://127.0.0.1:${peer}`, metricsUrl: `http://127.0.0.1:${metrics}` };
  });
  const initialCluster = parts.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  return parts.map(({ name, client, peerUrl, metricsUrl }) => {
    const clientUrl = `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${client}`;
    const flags = {
      name,
      'data-dir': join(directory, name),
      'listen-client-urls': clientUrl,
      'advertise-client-urls': clientUrl,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': initialCluster,
      'initial-cluster-token': directory,
      'listen-metrics-urls': metricsUrl,
      'log-level': 'warn',
      ...(tls === undefined ? {} : { 'cert-file': tls.certFile, 'key-file': tls.keyFile, 'trusted-ca-file': tls.caFile, 'client-cert-auth': 'true' }),
    };
    return new Member(name, `127.0.0.1:${client}`, metricsUrl, Object.entries(flags).map(([flag, value]) => `--${flag}=${value}`));
  });
}

class Member implements EtcdMember {
  readonly name: string;
  readonly endpoint: string;
  readonly #metricsUrl: string;
  readonly #flags: readonly string[];
  #process: ChildProcess | undefined;
  #said = '';

  constructor(name: string, endpoint: string, metricsUrl: string, flags: readonly string[]) {
    this.name = name;
    this.endpoint = endpoint;
    this.#metricsUrl = metricsUrl;
    this.#flags = flags;
  }

  get running(): boolean {
    return this.#process !== undefined && this.#process.exitCode === null && this.#process.signalCode === null;
  }

  async start(): Promise<void> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('ETCD_')));
    const child = spawn('etcd', this.#flags, { stdio: ['ignore', 'ignore', 'pipe'], env: { ...env, ETCD_UNSUPPORTED_ARCH: process.arch } });
    this.#process = child;
    let missing = false;
    child.on('error', (cause) => {
      missing = 'code' in cause && cause.code === 'ENOENT';
      this.#process = undefined;
    });
    child.stderr.on('data', (bytes: Buffer) => (this.#said = (this.#said + bytes.toString()).slice(-4000)));
    await waitFor(
      `etcd ${this.name} to be healthy`,
      async () => {
        if (!this.running) return 'ended';
        return (await this.#fetch('/health'))?.includes('"health":"true"') === true && 'healthy';
      },
      { deadlineMs: 30_000, everyMs: 50 },
    );
    if (missing) throw new Error('etcd is not installed: apt-get install etcd-server');
    if (!this.running) throw new Error(`etcd ${this.name} ended at start: ${this.#said}`);
  }

  restart(): Promise<void> {
    return this.start();
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#process;
    if (child === undefined || !this.running) return;
    const gone = once(child, 'exit');
    child.kill(signal);
    await withDeadline(gone, 20_000, `etcd ${this.name} to end`);
  }

  async leads(): Promise<boolean> {
    return (await this.#fetch('/metrics'))?.includes('\netcd_server_is_leader 1') === true;
  }

  async #fetch(path: string): Promise<string | undefined> {
    try {
      const response = await fetch(`${this.#metricsUrl}${path}`, { signal: AbortSignal.timeout(2000) });
      return await response.text();
    } catch {
      return undefined;
    }
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as AddressInfo).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

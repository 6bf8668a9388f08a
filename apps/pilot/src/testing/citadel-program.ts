import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { credentials } from '@grpc/grpc-js';
import { RootRotationClient } from '@meltemi/api/gen/meltemi/citadel/v1/citadel.ts';
import { waitFor } from '@meltemi/base';
import { joinTokenText, mintJoinToken, startIdentityAgent, type IdentityAgent } from '@meltemi/identity-edge';

const silent = { info: () => undefined, warn: () => undefined };

/** The citadel program with a directory of its own, and identities from it: for tests. */
export class CitadelProgram {
  readonly dir = mkdtempSync(join(tmpdir(), 'pilot-citadel-'));
  readonly #agents: IdentityAgent[] = [];
  #child: ChildProcess | undefined;
  #port = 0;
  #tokens = 0;

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  async start(): Promise<this> {
    const portsFile = join(this.dir, 'citadel.json');
    this.#child = spawn(process.execPath, [join(import.meta.dirname, '../../../citadel/src/main.ts'), '--state-dir', join(this.dir, 'citadel'), '--socket', this.#socket, '--listen', '127.0.0.1:0', '--admin-listen', '127.0.0.1:0', '--ports-file', portsFile], { env: { PATH: process.env['PATH'] }, stdio: 'ignore' });
    await waitFor('citadel', () => existsSync(portsFile), { deadlineMs: 30_000 });
    this.#port = (JSON.parse(readFileSync(portsFile, 'utf8')) as { ports: { grpc: number } }).ports.grpc;
    return this;
  }

  /** Flags that make a pilot a member of this mesh. */
  async pilotFlags(): Promise<string[]> {
    return ['--citadel-address', this.address, '--join-token-file', await this.tokenFile('spiffe://cluster.local/ns/istio-system/sa/meltemi-pilot')];
  }

  /** A file with a join token for an identity. */
  async tokenFile(id: string): Promise<string> {
    const file = join(this.dir, `token-${this.#tokens++}-${id.replaceAll(/\W/g, '-')}`);
    writeFileSync(file, await mintJoinToken(this.#socket, id), { mode: 0o600 });
    return file;
  }

  /** A certificate for this service account, "namespace/name". */
  async identity(serviceAccount: string): Promise<IdentityAgent> {
    const [namespace, name] = serviceAccount.split('/');
    const id = `spiffe://cluster.local/ns/${namespace}/sa/${name}`;
    const agent = startIdentityAgent({ citadelAddress: this.address, identity: id, joinToken: joinTokenText(await mintJoinToken(this.#socket, id)), log: silent });
    this.#agents.push(agent);
    await agent.ready();
    return agent;
  }

  /** Gives out a new root beside the one that signs: the first step of changing it. */
  async distributeNewRoot(): Promise<void> {
    const client = new RootRotationClient(`unix:${this.#socket}`, credentials.createInsecure());
    try {
      await new Promise<void>((resolve, reject) => client.act({ action: 'start', automatic: false, without: [] }, (error) => (error ? reject(error) : resolve())));
    } finally {
      client.close();
    }
  }

  async remove(): Promise<void> {
    for (const agent of this.#agents) agent.stop();
    if (this.#child?.exitCode === null) {
      this.#child.kill('SIGKILL');
      await once(this.#child, 'exit');
    }
    rmSync(this.dir, { recursive: true, force: true });
  }

  get #socket(): string {
    return join(this.dir, 'citadel.sock');
  }
}

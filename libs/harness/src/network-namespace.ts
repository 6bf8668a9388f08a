import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

export interface NamespaceRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A network namespace of a test: a machine of its own as far as the network goes. Needs root; gone after `remove`. */
export class NetworkNamespace {
  readonly name: string;

  constructor(name: string) {
    if (process.getuid?.() !== 0) throw new Error('this test makes network namespaces and runs programs as user 1337: run it as root');
    this.name = `mlt${process.pid}${name}`;
    must(spawnSync('ip', ['netns', 'add', this.name], { encoding: 'utf8' }));
    this.ip('link', 'set', 'lo', 'up');
  }

  static #cables = 0;

  /** Joins two with a cable; each end has the addresses given. */
  static connect(one: { at: NetworkNamespace; addresses: readonly string[] }, other: { at: NetworkNamespace; addresses: readonly string[] }): void {
    const cable = `cable${NetworkNamespace.#cables++}`;
    must(spawnSync('ip', ['link', 'add', cable, 'netns', one.at.name, 'type', 'veth', 'peer', 'name', cable, 'netns', other.at.name], { encoding: 'utf8' }));
    for (const { at, addresses } of [one, other]) {
      // Nobody else can have these addresses: they can be used at once (nodad), and so can the link-local one, which else would come a second or two later.
      must(spawnSync('ip', ['netns', 'exec', at.name, 'sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${cable}/accept_dad`], { encoding: 'utf8' }));
      for (const address of addresses) at.ip(...(address.includes(':') ? ['-6', 'addr', 'add', address, 'dev', cable, 'nodad'] : ['addr', 'add', address, 'dev', cable]));
      at.ip('link', 'set', cable, 'up');
    }
  }

  ip(...args: readonly string[]): void {
    must(spawnSync('ip', ['-n', this.name, ...args], { encoding: 'utf8' }));
  }

  /** The command line that runs a program in here, as a user when `uid` says so (user and group alike; it may still read what root may). */
  command(args: readonly string[], uid?: number): [string, ...string[]] {
    const caps = '+dac_read_search,+net_admin';
    const as = uid === undefined ? [] : ['setpriv', '--reuid', String(uid), '--regid', String(uid), '--clear-groups', '--inh-caps', caps, '--ambient-caps', caps];
    return ['ip', 'netns', 'exec', this.name, ...as, ...args];
  }

  /** Runs a program to its end, at most 20 s. */
  async run(args: readonly string[], options: { uid?: number; input?: string } = {}): Promise<NamespaceRun> {
    const [program, ...rest] = this.command(args, options.uid);
    const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'], timeout: 20_000, env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` } });
    let [out, err] = ['', ''];
    child.stdout.on('data', (data: Buffer) => (out += data.toString()));
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input ?? '');
    const [code] = (await once(child, 'close')) as [number | null];
    return { code: code ?? 124, out, err };
  }

  /** Programs still in it are ended first. */
  remove(): void {
    const { stdout } = spawnSync('ip', ['netns', 'pids', this.name], { encoding: 'utf8' });
    for (const pid of stdout.split('\n').filter((line) => line !== '')) try { process.kill(Number(pid), 'SIGKILL'); } catch { /* it has ended */ }
    spawnSync('ip', ['netns', 'del', this.name]);
  }
}

function must({ status, stderr }: { status: number | null; stderr: string }): void {
  if (status !== 0) throw new Error(stderr.trim() || 'a command ended badly');
}

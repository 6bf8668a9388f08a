import { iptablesRestore, iptablesRevert, nftScript, nftTable, readIptablesRules, readNftRules, type CaptureRules, type Family, type InstalledRule } from '@meltemi/capture';
import { CliError } from '../../cli-error.ts';
import { failed, run } from './run.ts';

/** One of the kernel's packet filter programs. */
export interface Backend {
  readonly name: 'nftables' | 'iptables';
  readonly about: string;
  /** Its program is there. */
  available(): Promise<boolean>;
  /** Our rules as installed; none when there are none. */
  installed(): Promise<InstalledRule[]>;
  /** Puts these rules in the place of ours: all or nothing. */
  replace(rules: CaptureRules, ipv6: boolean): Promise<void>;
  /** Takes ours away, and nothing else. */
  remove(): Promise<void>;
}

const nft: Backend = {
  name: 'nftables',
  about: `nftables, table ${nftTable}`,
  available: async () => (await run('nft', ['--version'])).code === 0,
  async installed() {
    const listed = await run('nft', ['list', 'table', ...nftTable.split(' ')]);
    if (listed.code === 0) return readNftRules(listed.out);
    if (listed.code === 127 || /No such file/.test(listed.err)) return [];
    throw failed('nft', listed);
  },
  replace: (rules) => nftRun(nftScript(rules)),
  remove: () => nftRun(nftScript(null)),
};

async function nftRun(script: string): Promise<void> {
  const done = await run('nft', ['-f', '-'], script);
  if (done.code !== 0) throw failed('nft', done);
}

const programs: Readonly<Record<Family, string>> = { v4: 'iptables', v6: 'ip6tables' };

const iptables: Backend = {
  name: 'iptables',
  about: 'iptables and ip6tables, chains MELTEMI_*',
  available: async () => (await run('iptables-restore', ['--version'])).code === 0,
  async installed() {
    const [v4, v6] = [await save('v4'), await save('v6')];
    return [...readIptablesRules(v4), ...readIptablesRules(v6)];
  },
  async replace(rules, ipv6) {
    const before = await save('v4');
    await restore('v4', iptablesRestore(rules, 'v4', before));
    try {
      const before6 = await save('v6');
      await restore('v6', iptablesRestore(ipv6 ? rules : null, 'v6', before6));
    } catch (cause) {
      await restore('v4', iptablesRevert(before, await save('v4')));
      throw cause;
    }
  },
  async remove() {
    for (const family of ['v4', 'v6'] as const) await restore(family, iptablesRestore(null, family, await save(family)));
  },
};

/** "" where the family is not there. */
async function save(family: Family): Promise<string> {
  const saved = await run(`${programs[family]}-save`, []);
  if (saved.code !== 0 && saved.code !== 127 && family === 'v4') throw failed('iptables-save', saved);
  return saved.code === 0 ? saved.out : '';
}

/** Tables are committed one by one, so a text with a fault in its last table is tried first. */
async function restore(family: Family, text: string): Promise<void> {
  if (text === '') return;
  const program = `${programs[family]}-restore`;
  for (const args of [['--noflush', '--test'], ['--noflush']]) {
    const done = await run(program, ['--wait', '5', ...args], text);
    if (done.code !== 0) throw failed(program, done);
  }
}

export const backends: readonly Backend[] = [nft, iptables];

/** The named one; else the one that has our rules, else the first whose program is there. */
export async function chooseBackend(name: string): Promise<Backend> {
  const named = backends.find((backend) => backend.name === name);
  if (named !== undefined) {
    if (!(await named.available())) throw new CliError(`${named.name} is not installed: apt-get install ${named.name}`);
    return named;
  }
  const available: Backend[] = [];
  for (const backend of backends) if (await backend.available()) available.push(backend);
  for (const backend of available) if ((await backend.installed().catch(() => [])).length > 0) return backend;
  const [first] = available;
  if (first === undefined) throw new CliError('Neither nftables nor iptables is installed: apt-get install nftables');
  return first;
}


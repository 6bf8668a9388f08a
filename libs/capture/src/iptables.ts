import { chainPrefix, type CaptureRules } from './capture-rules.ts';
import type { Action, Family, Match, Table } from './rule.ts';

const tables: readonly Table[] = ['raw', 'mangle', 'nat'];
const commentStart = 'meltemi: ';

/** What of ours is in one table, as lines of `iptables-save`. */
interface Ours {
  readonly chains: readonly string[];
  readonly rules: readonly string[];
  /** "-A OUTPUT -j MELTEMI_OUTPUT": jumps from the kernel's chains into ours. */
  readonly hooks: readonly string[];
}

/**
 * Input of `iptables-restore --noflush` (ip6tables for v6) that puts the wanted rules in the place of what `saved` (iptables-save's output) has
 * of ours, each table in one step; null removes it. Everything else stays. "" when there is nothing to do.
 */
export function iptablesRestore(wanted: CaptureRules | null, family: Family, saved: string): string {
  return tables.map((table) => replaceText(table, installed(saved, table), wantedLines(wanted, table, family))).join('');
}

/** The same, back to how it was in `before`. */
export function iptablesRevert(before: string, saved: string): string {
  return tables.map((table) => replaceText(table, installed(saved, table), installed(before, table))).join('');
}

function wantedLines(wanted: CaptureRules | null, table: Table, family: Family): Ours {
  const rules = (wanted?.rules ?? []).filter((rule) => rule.table === table && (rule.family ?? family) === family);
  return {
    chains: [...new Set(rules.flatMap((rule) => [rule.chain, ...(rule.action.kind === 'jump' ? [rule.action.chain] : [])]))],
    rules: rules.map((rule) => `-A ${rule.chain}${matchText(rule.when)} -m comment --comment "${commentStart}${rule.why}" ${actionText(rule.action, family)}`),
    hooks: (wanted?.hooks ?? []).filter((hook) => hook.table === table && rules.some((rule) => rule.chain === hook.chain)).map((hook) => `-A ${hook.from} -j ${hook.chain}`),
  };
}

function replaceText(table: Table, now: Ours, next: Ours): string {
  const all = [...new Set([...now.chains, ...next.chains])];
  if (all.length === 0 && now.hooks.length === 0) return '';
  const lines = [
    `*${table}`,
    // Declaring a chain empties it.
    ...all.map((chain) => `:${chain} - [0:0]`),
    ...now.hooks.map((line) => line.replace(/^-A/, '-D')),
    ...now.chains.filter((chain) => !next.chains.includes(chain)).map((chain) => `-X ${chain}`),
    ...next.rules,
    ...next.hooks,
    'COMMIT',
  ];
  return `${lines.join('\n')}\n`;
}

/** Whether anything of ours is there. */
export function hasIptablesRules(saved: string): boolean {
  return tables.some((table) => installed(saved, table).chains.length > 0);
}

function installed(saved: string, table: Table): Ours {
  const lines = section(saved, table);
  return {
    chains: lines.flatMap((line) => new RegExp(`^:(${chainPrefix}\\S+) `).exec(line)?.[1] ?? []),
    rules: lines.filter((line) => line.startsWith(`-A ${chainPrefix}`)),
    hooks: lines.filter((line) => line.startsWith('-A ') && !line.startsWith(`-A ${chainPrefix}`) && new RegExp(` -j ${chainPrefix}\\S+$`).test(line)),
  };
}

function section(saved: string, table: Table): string[] {
  return (new RegExp(`^\\*${table}\\n([\\s\\S]*?)^COMMIT`, 'm').exec(saved)?.[1] ?? '').split('\n');
}

/** One rule of ours as installed. */
export interface InstalledRule {
  readonly table: string;
  readonly chain: string;
  readonly why: string;
  readonly rule: string;
}

/** Our rules in iptables-save's output, in order. */
export function readIptablesRules(saved: string): InstalledRule[] {
  return tables.flatMap((table) => installed(saved, table).rules.flatMap((rule) => {
    const [, chain, why] = new RegExp(`^-A (${chainPrefix}\\S+) .*--comment "?${commentStart}([^"]*)"`).exec(rule) ?? [];
    return chain === undefined || why === undefined ? [] : [{ table, chain: chain.slice(chainPrefix.length).toLowerCase(), why, rule }];
  }));
}

function matchText(match: Match): string {
  const one = (option: string, value: string | number | undefined) => (value === undefined ? '' : ` ${option} ${value}`);
  const ports = match.notToPorts ?? [];
  return [
    one('-p', match.protocol), one('-i', match.inInterface), one('-o', match.outInterface), one('-s', match.from), one('-d', match.to), one('! -d', match.notTo),
    one('--dport', match.toPort), one('--sport', match.fromPort),
    ports.length === 0 ? '' : ports.length === 1 ? ` ! --dport ${ports[0]}` : ` -m multiport ! --dports ${ports.join(',')}`,
    one('-m owner --uid-owner', match.uid), one('-m owner ! --uid-owner', match.notUid), one('-m owner --gid-owner', match.gid), one('-m owner ! --gid-owner', match.notGid),
    one('-m mark --mark', match.mark), one('-m mark ! --mark', match.notMark), one('-m connmark --mark', match.connectionMark),
    one('-m conntrack --ctstate', match.states?.join(',').toUpperCase()),
  ].join('');
}

function actionText(action: Action, family: Family): string {
  switch (action.kind) {
    case 'return':
    case 'accept':
    case 'drop':
      return `-j ${action.kind.toUpperCase()}`;
    case 'jump':
      return `-j ${action.chain}`;
    case 'redirect':
      return `-j REDIRECT --to-ports ${action.port}`;
    case 'tproxy':
      return `-j TPROXY --on-port ${action.port} --on-ip ${family === 'v4' ? '0.0.0.0' : '::'} --tproxy-mark ${action.mark}/0xffffffff`;
    case 'set-mark':
      return `-j MARK --set-mark ${action.mark}`;
    case 'zone':
      return `-j CT --zone ${action.zone}`;
    case 'save-mark':
      return '-j CONNMARK --save-mark';
    case 'restore-mark':
      return '-j CONNMARK --restore-mark';
  }
}

/** Rules of both families as `--dry-run` prints them. */
export function iptablesDryRun(wanted: CaptureRules, ipv6: boolean): string {
  const part = (family: Family) => `# ${family === 'v4' ? 'iptables' : 'ip6tables'}-restore --noflush\n${iptablesRestore(wanted, family, '')}`;
  return part('v4') + (ipv6 ? part('v6') : '');
}


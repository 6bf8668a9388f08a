import { chainPrefix, type CaptureRules } from './capture-rules.ts';
import type { InstalledRule } from './iptables.ts';
import type { Action, Family, Hook, Match, Rule, Table } from './rule.ts';

/** Everything of ours is in this one table, of both families. */
export const nftTable = 'inet meltemi';

/** Creating it first makes deleting it safe, also when it was not there. */
const fresh = `table ${nftTable} {}\ndelete table ${nftTable}\n`;

/** Types and priorities of the hooks: where iptables has its tables. */
const hookText: Readonly<Record<Table, Readonly<Record<Hook['from'], string>>>> = {
  raw: { PREROUTING: 'type filter hook prerouting priority raw', OUTPUT: 'type filter hook output priority raw' },
  // A route hook: a changed mark routes the packet anew.
  mangle: { PREROUTING: 'type filter hook prerouting priority mangle', OUTPUT: 'type route hook output priority mangle' },
  nat: { PREROUTING: 'type nat hook prerouting priority dstnat', OUTPUT: 'type nat hook output priority -100' },
};

/** Input of `nft -f -` that puts the wanted rules in the place of ours in one step; null removes them. */
export function nftScript(wanted: CaptureRules | null): string {
  if (wanted === null) return fresh;
  const { rules, hooks } = wanted;
  const names = [...new Set(rules.flatMap((rule) => [chainName(rule.table, rule.chain), ...(rule.action.kind === 'jump' ? [chainName(rule.table, rule.action.chain)] : [])]))];
  const headOf = (name: string) => {
    const hook = hooks.find((each) => chainName(each.table, each.chain) === name);
    return hook === undefined ? '' : `\t\t${hookText[hook.table][hook.from]}; policy accept;\n`;
  };
  const bodyOf = (name: string) => rules.filter((rule) => chainName(rule.table, rule.chain) === name).map((rule) => `\t\t${ruleText(rule)}\n`).join('');
  // Chains are declared before a rule may jump to them, and hooked when they are declared: later is not allowed.
  const declared = names.map((name) => `\tchain ${name} {\n${headOf(name)}\t}\n`);
  return `${fresh}table ${nftTable} {\n${declared.join('')}}\ntable ${nftTable} {\n${names.map((name) => `\tchain ${name} {\n${bodyOf(name)}\t}\n`).join('')}}\n`;
}

/** Our rules in the output of `nft list table inet meltemi`, in order. */
export function readNftRules(listed: string): InstalledRule[] {
  let chain = '';
  return listed.split('\n').flatMap((line) => {
    chain = /^\s*chain (\S+) \{/.exec(line)?.[1] ?? chain;
    const why = /comment "([^"]*)"\s*$/.exec(line)?.[1];
    const [table = '', ...name] = chain.split('_');
    return why === undefined ? [] : [{ table, chain: name.join('_'), why, rule: line.trim() }];
  });
}

function chainName(table: Table, chain: string): string {
  return `${table}_${chain.slice(chainPrefix.length).toLowerCase()}`;
}

function ruleText({ table, family, when, action, why }: Rule): string {
  return `${[...matchTexts(when, family), ...actionTexts(action, { table, family })].join(' ')} comment "${why.slice(0, 120)}"`;
}

function matchTexts(match: Match, family: Family | undefined): string[] {
  const one = (words: string, value: string | number | undefined) => (value === undefined ? [] : [`${words} ${value}`]);
  const ip = family === 'v6' ? 'ip6' : 'ip';
  const { protocol, notToPorts: ports = [] } = match;
  const addressed = match.from !== undefined || match.to !== undefined || match.notTo !== undefined;
  return [
    ...(family !== undefined && !addressed ? [`meta nfproto ip${family}`] : []),
    ...one('meta l4proto', protocol),
    ...one('iifname', match.inInterface && `"${match.inInterface}"`), ...one('oifname', match.outInterface && `"${match.outInterface}"`),
    ...one(`${ip} saddr`, match.from), ...one(`${ip} daddr`, match.to), ...one(`${ip} daddr !=`, match.notTo),
    ...one(`${protocol} dport`, match.toPort), ...one(`${protocol} sport`, match.fromPort), ...(ports.length > 0 ? [`${protocol} dport != { ${ports.join(', ')} }`] : []),
    ...one('meta skuid', match.uid), ...one('meta skuid !=', match.notUid), ...one('meta skgid', match.gid), ...one('meta skgid !=', match.notGid),
    ...one('meta mark', match.mark), ...one('meta mark !=', match.notMark), ...one('ct mark', match.connectionMark), ...one('ct state', match.states?.join(',')),
  ];
}

function actionTexts(action: Action, { table, family }: { table: Table; family: Family | undefined }): string[] {
  switch (action.kind) {
    case 'return':
    case 'accept':
    case 'drop':
      return [action.kind];
    case 'jump':
      return [`jump ${chainName(table, action.chain)}`];
    case 'redirect':
      return [`redirect to :${action.port}`];
    case 'tproxy':
      // Unlike iptables' target this one does not end the chain by itself.
      return [`tproxy ${family === 'v6' ? 'ip6' : 'ip'} to :${action.port} meta mark set ${action.mark} accept`];
    case 'set-mark':
      return [`meta mark set ${action.mark}`];
    case 'zone':
      // In iptables the first zone stays; here a later rule would replace it.
      return [`ct zone set ${action.zone} return`];
    case 'save-mark':
      return ['ct mark set meta mark'];
    case 'restore-mark':
      return ['meta mark set ct mark'];
  }
}

import type { InstalledRule } from '@meltemi/capture';

/** Chains in the order a packet meets them, in words. */
const headings: readonly (readonly [table: string, chain: string, words: string])[] = [
  ['nat', 'prerouting', 'Connections that arrive'],
  ['mangle', 'prerouting', 'Connections that arrive, under TPROXY'],
  ['nat', 'inbound', 'Inbound connections, first match decides; what is not left alone goes to the proxy'],
  ['mangle', 'inbound', 'Inbound connections under TPROXY, first match decides'],
  ['nat', 'output', 'Outbound connections, first match decides; what is not left alone goes to the proxy'],
  ['mangle', 'output', 'Marks under TPROXY'],
  ['nat', 'output_dns', 'DNS queries'],
  ['raw', 'output', 'Tracking of DNS queries'],
  ['raw', 'prerouting', 'Tracking of DNS answers'],
  ['nat', 'redirect', 'Where outbound connections go'],
  ['nat', 'in_redirect', 'Where inbound connections go'],
  ['mangle', 'divert', 'Packets of taken connections'],
  ['mangle', 'tproxy', 'Where inbound connections go'],
];

/** Installed rules as sentences; one that both address families have is said once. */
export function describeRules(about: string, rules: readonly InstalledRule[]): string {
  if (rules.length === 0) return 'No traffic is captured: no rules of Meltemi are installed.';
  const parts = headings.flatMap(([table, chain, words]) => {
    const here = rules.filter((rule) => rule.table === table && rule.chain === chain);
    return here.length === 0 ? [] : [`${words}:`, ...new Set(here.map((rule) => `  - ${rule.why}${ends(rule.rule)}`))];
  });
  return [`Installed with ${about}.`, ...parts].join('\n');
}

function ends(rule: string): string {
  const port = /(?:--to-ports|redirect to :|--on-port|tproxy ip6? to :)\s*(\d+)/.exec(rule)?.[1];
  return port === undefined ? '' : ` on port ${port}`;
}

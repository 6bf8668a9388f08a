import type { SuggestedRule } from './rules.ts';
import type { SuggestedPolicy, Suggestion } from './suggest.ts';

/** The policies as Istio YAML, with comments on what stands behind each rule. */
export function policiesText({ policies, denyAll, dryRun }: Pick<Suggestion, 'policies' | 'denyAll' | 'dryRun'>): string {
  return [...policies.map((policy) => policyText(policy, dryRun)), ...denyAll.map((namespace) => denyAllText(namespace, dryRun))].join('---\n');
}

/** JSON's strings are YAML's, too. */
const quoted = (text: string) => JSON.stringify(text);
const list = (texts: readonly string[]) => `[${texts.map(quoted).join(', ')}]`;

/** What was observed is somebody else's text: one line, of visible ASCII characters. */
export function inComment(text: string): string {
  const clean = text.replaceAll(/[^ -~]/g, '?');
  return clean.length > 200 ? `${clean.slice(0, 200)}…` : clean;
}

function head(name: string, namespace: string, dryRun: boolean): string {
  const annotations = dryRun ? '  annotations:\n    istio.io/dry-run: "true"\n' : '';
  return `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n  name: ${quoted(name)}\n  namespace: ${quoted(namespace)}\n${annotations}`;
}

function policyText({ name, group, rules, requests, distinct, silent, doubtful }: SuggestedPolicy, dryRun: boolean): string {
  const notes = [
    `${requests} requests, ${distinct} different ones, at ${group.workloads.filter((one) => !silent.includes(one)).join(', ') || 'nobody'}`,
    ...(silent.length > 0 ? [`selected, too, but nobody was seen to reach: ${silent.join(', ')}`] : []),
    ...(doubtful.length > 0 ? [`doubtful: ${doubtful.length} of them were only ever answered with 4xx; they are listed below`] : []),
  ];
  const selector = Object.entries(group.selector).map(([label, value]) => `      ${quoted(label)}: ${quoted(value)}\n`).join('');
  return `${notes.map((note) => `# ${inComment(note)}\n`).join('')}${head(name, group.namespace, dryRun)}spec:\n  selector:\n    matchLabels:\n${selector}  action: ALLOW\n  ${rules.length === 0 ? 'rules: []\n' : `rules:\n${rules.map(ruleText).join('')}`}`;
}

function ruleText({ principals, ipBlocks, operations, requests, distinct, widened }: SuggestedRule): string {
  const notes = [`${requests} requests, ${distinct} different ones`, ...widened.map(({ pattern, paths }) => `${pattern} stands for ${paths} paths`)];
  const source = principals.length > 0 && ipBlocks.length > 0
    ? `    - source:\n        principals: ${list(principals)}\n    - source:\n        ipBlocks: ${list(ipBlocks)}\n`
    : `    - source:\n        ${principals.length > 0 ? `principals: ${list(principals)}` : `ipBlocks: ${list(ipBlocks)}`}\n`;
  const to = operations.map((operation) => `    - operation:\n${(['ports', 'hosts', 'methods', 'paths'] as const).flatMap((field) => (operation[field] ? [`        ${field}: ${list(operation[field])}\n`] : [])).join('')}`).join('');
  return `${notes.map((note) => `  # ${inComment(note)}\n`).join('')}  - from:\n${source}    to:\n${to}`;
}

/** Istio's "allow nothing": what no other policy allows is refused. */
function denyAllText(namespace: string, dryRun: boolean): string {
  return `# Refuses what no policy of this namespace allows, at workloads without traffic, too.\n${head('allow-nothing', namespace, dryRun)}spec: {}\n`;
}

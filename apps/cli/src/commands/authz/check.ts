import type { Command } from 'commander';
import type { CommandEnvironment } from '../../command.ts';
import { columns, outputFormat, print } from '../../output.ts';
import { fetchAdmin, proxyAdmin } from '../proxy-config/admin.ts';

/** An AuthorizationPolicy as a proxy runs it. */
export interface PolicyInForce {
  readonly action: string;
  /** name.namespace */
  readonly policy: string;
  readonly rules: number;
}

/** `meltemi authz check <proxy>`: the policies in force, as `istioctl experimental authz check` lists them. */
export function addCheck(parent: Command, { output, context }: CommandEnvironment): void {
  parent.command('check')
    .description('list the AuthorizationPolicies in force at a proxy')
    .argument('[proxy]', '<pod>[.<namespace>], a Deployment\'s name, or the beginning of either')
    .option('--admin <url>', 'the proxy\'s admin address, such as http://127.0.0.1:15000 or unix:/run/proxy/admin.sock, instead of a proxy of the mesh')
    .option('-o, --output <format>', 'table, json or yaml')
    .action(async (proxy: string | undefined, options: { readonly admin?: string; readonly output?: string }) => {
      const format = outputFormat(options.output);
      const found = policiesInForce(await fetchAdmin(proxyAdmin(proxy, options.admin, context), '/config_dump'));
      print(output, format, found, () => (found.length === 0 ? 'No AuthorizationPolicy is in force: everybody is allowed.' : columns(['ACTION', 'AUTHORIZATIONPOLICY', 'RULES'], found.map(({ action, policy, rules }) => [action, policy, String(rules)]))));
    });
}

/** Policies by the names of their rules in every RBAC filter of a config dump. */
export function policiesInForce(dump: unknown): PolicyInForce[] {
  const rules = new Map<string, Set<string>>();
  visit(dump, (rbac, dryRun) => {
    const written = typeof rbac['action'] === 'string' ? rbac['action'] : 'ALLOW';
    for (const name of Object.keys(recordOf(rbac['policies']) ?? {})) {
      const action = name.startsWith('istio-ext-authz') ? 'CUSTOM' : written === 'LOG' ? 'AUDIT' : `${written}${dryRun ? ' (dry run)' : ''}`;
      const parts = /ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]/.exec(name);
      const key = JSON.stringify([action, parts ? `${parts[2]}.${parts[1]}` : name]);
      rules.set(key, (rules.get(key) ?? new Set()).add(parts?.[3] ?? ''));
    }
  });
  return [...rules].map(([key, found]) => {
    const [action = '', policy = ''] = JSON.parse(key) as string[];
    return { action, policy, rules: found.size };
  }).toSorted((a, b) => (`${a.action}\n${a.policy}` < `${b.action}\n${b.policy}` ? -1 : 1));
}

type Fields = Readonly<Record<string, unknown>>;

/** Every message of rules that a dump holds; those of shadow rules only watch. */
function visit(value: unknown, see: (rbac: Fields, dryRun: boolean) => void): void {
  if (Array.isArray(value)) return value.forEach((one) => visit(one, see));
  const fields = recordOf(value);
  if (fields === undefined) return;
  for (const [name, inner] of Object.entries(fields)) {
    const rbac = recordOf(inner);
    if ((name === 'rules' || name === 'shadow_rules' || name === 'shadowRules') && rbac && recordOf(rbac['policies'])) see(rbac, name !== 'rules');
    else visit(inner, see);
  }
}

function recordOf(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

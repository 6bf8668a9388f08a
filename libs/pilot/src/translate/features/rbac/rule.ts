import type { AuthorizationRule } from '@meltemi/config';
import { Policy, type RBAC_Action } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { create } from '../../message.ts';
import { allOf } from './clause.ts';
import { operationClauses, permissions } from './permissions.ts';
import { principals, sourceClauses, type SourceContext } from './principals.ts';

export interface RuleContext extends SourceContext {
  readonly action: 'ALLOW' | 'DENY' | 'LOG';
}

export type RuleAction = keyof typeof RBAC_Action & RuleContext['action'];

/**
 * One rule as Envoy has it: any operation, any source, all conditions. undefined: nothing can match it, or (on a plain TCP connection) an
 * ALLOW rule asks for what only requests have.
 */
export function rulePolicy(rule: AuthorizationRule, context: RuleContext): Policy | undefined {
  const allow = context.action === 'ALLOW';
  if (!rule.when.every(({ key }) => isAttribute(key))) return undefined;
  const operations = rule.to.length === 0 ? [{}] : rule.to.map(({ operation }) => operation);
  const sources = rule.from.length === 0 ? [{}] : rule.from.map(({ source }) => source);
  const permitted = operations.map((operation) => allOf(operationClauses(operation, rule.when, context.tcp), permissions, allow));
  const asking = sources.map((source) => allOf(sourceClauses(source, rule.when, context), principals, allow));
  // as in Istio one source or operation that is HTTP's alone takes the rule away, not only itself
  if (permitted.includes(undefined) || asking.includes(undefined)) return undefined;
  return create(Policy, { permissions: permitted.filter((one) => one !== undefined), principals: asking.filter((one) => one !== undefined) });
}

const attributes: ReadonlySet<string> = new Set([
  'destination.ip', 'destination.port', 'connection.sni', 'source.ip', 'remote.ip', 'source.namespace', 'source.trustDomain', 'source.serviceAccount', 'source.principal',
  'request.auth.principal', 'request.auth.audiences', 'request.auth.presenter',
]);

/** A rule with any other key is left out, as Istio leaves it. */
function isAttribute(key: string): boolean {
  return attributes.has(key) || ['experimental.envoy.filters.', 'request.headers', 'request.auth.claims'].some((prefix) => key.startsWith(prefix));
}

import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { RBAC_Action, type Policy, type RBAC } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import type { StreamInfo } from '@meltemi/http';
import { compilePermission } from './permission.ts';
import { compilePrincipal } from './principal.ts';
import { RuleIndex } from './indexed/rule-index.ts';
import { allOf, type Rule } from './logic.ts';
import { compileSet, oneOf } from './rule.ts';
import type { Verdict } from './verdict.ts';

interface CompiledPolicy {
  readonly name: string;
  readonly rule: Rule;
}

/** Policies with their action. ALLOW denies what none matches, DENY what one matches, LOG nothing. @hot */
export class AccessControl {
  readonly action: 'allow' | 'deny' | 'log';
  /** By the policies' names, and last what no match means. */
  readonly #verdicts: readonly Verdict[];
  readonly #rules: RuleIndex;

  constructor(action: AccessControl['action'], policies: readonly CompiledPolicy[]) {
    this.action = action;
    this.#verdicts = [...policies.map(({ name }) => name), null].map((policy) => ({ policy, allowed: action === 'log' || (action === 'allow') === (policy !== null), logged: action === 'log' ? policy !== null : null }));
    this.#rules = RuleIndex.of(policies.map(({ rule }) => rule));
  }

  /** By the first policy that matches. */
  decide(info: StreamInfo): Verdict {
    return this.#verdicts[this.#rules.first(info, this.#verdicts.length - 1)] as Verdict;
  }
}

const actions = { [RBAC_Action.ALLOW]: 'allow', [RBAC_Action.DENY]: 'deny', [RBAC_Action.LOG]: 'log' } as const;

/** Compiles an RBAC message; `path` goes before the paths of errors. */
export function compileRbac(message: RBAC, path: string): Result<AccessControl> {
  const errors: FieldError[] = [];
  const action = message.action === RBAC_Action.UNRECOGNIZED ? undefined : actions[message.action];
  if (action === undefined) errors.push({ path: `${path}.action`, message: 'must be ALLOW, DENY or LOG' });
  const { auditLoggingOptions: audit } = message;
  if (audit !== undefined && audit.auditCondition !== 0) errors.push({ path: `${path}.audit_logging_options`, message: 'audit loggers are not supported: use access logs' });
  const policies: CompiledPolicy[] = [];
  // As in Envoy the first in order of bytes decides, whatever order the map came in.
  const names = Object.keys(message.policies).map((name) => ({ name, bytes: Buffer.from(name) })).sort((a, b) => Buffer.compare(a.bytes, b.bytes));
  for (const { name } of names) {
    const policy = message.policies[name];
    const compiled = policy === undefined ? null : compilePolicy(name, policy, `${path}.policies["${name}"]`);
    if (compiled?.ok === true) policies.push(compiled.value);
    else errors.push(...(compiled?.error ?? []));
  }
  return errors.length > 0 || action === undefined ? err(errors) : ok(new AccessControl(action, policies));
}

function compilePolicy(name: string, policy: Policy, path: string): Result<CompiledPolicy> {
  const errors: FieldError[] = [];
  for (const [field, value] of [['condition', policy.condition], ['checked_condition', policy.checkedCondition]] as const)
    if (value !== undefined) errors.push({ path: `${path}.${field}`, message: 'CEL conditions are not supported: use permissions and principals' });
  const permissions = compileSet(policy.permissions, `${path}.permissions`, (member, at) => compilePermission(member, at));
  const principals = compileSet(policy.principals, `${path}.principals`, (member, at) => compilePrincipal(member, at));
  for (const result of [permissions, principals]) if (!result.ok) errors.push(...result.error);
  if (errors.length > 0 || !permissions.ok || !principals.ok) return err(errors);
  return ok({ name, rule: allOf([oneOf(permissions.value), oneOf(principals.value)]) });
}

/** %RESPONSE_CODE_DETAILS% or %CONNECTION_TERMINATION_DETAILS% of a denial; white space would part the fields of a log line. */
export function deniedDetails(policy: string | null): string {
  return `rbac_access_denied_matched_policy[${(policy ?? 'none').replaceAll(/\s/g, '_')}]`;
}

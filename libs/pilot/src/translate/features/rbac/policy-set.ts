import { Permission, Policy, Principal, RBAC, RBAC_Action } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import type { AuthorizationPolicy } from '../../../push-context/authorization.ts';
import { create } from '../../message.ts';
import { permissions } from './permissions.ts';
import { principals } from './principals.ts';
import { rulePolicy } from './rule.ts';
import type { TrustDomains } from './trust-domains.ts';

export interface SetOptions {
  readonly action: 'ALLOW' | 'DENY' | 'LOG';
  readonly trustDomains: TrustDomains;
  /** For connections that are not read as HTTP. */
  readonly tcp: boolean;
  /** Goes before the name of each rule. */
  readonly namePrefix?: string;
}

/** Rules in force, and rules only tried (annotation istio.io/dry-run); either is absent when no policy is of its sort. */
export interface PolicySet {
  readonly rules?: RBAC;
  readonly shadowRules?: RBAC;
}

/** The policies of one action as Envoy has them. A rule's name tells its policy: "ns[foo]-policy[bar]-rule[0]". */
export function policySet(policies: readonly AuthorizationPolicy[], options: SetOptions): PolicySet {
  const tried = policies.filter(isDryRun);
  const inForce = policies.filter((policy) => !isDryRun(policy));
  return { ...(inForce.length > 0 ? { rules: rbac(inForce, options) } : {}), ...(tried.length > 0 ? { shadowRules: rbac(tried, options) } : {}) };
}

function rbac(policies: readonly AuthorizationPolicy[], options: SetOptions): RBAC {
  const entries = policies.flatMap((policy) => rulesOf(policy, options));
  return create(RBAC, { action: RBAC_Action[options.action], policies: Object.fromEntries(entries) });
}

function rulesOf({ meta, spec }: AuthorizationPolicy, options: SetOptions): [string, Policy][] {
  const name = (index: number) => `${options.namePrefix ?? ''}ns[${meta.namespace}]-policy[${meta.name}]-rule[${index}]`;
  const rules = spec.rules ?? [];
  if (rules.length === 0) return [[name(0), matchesNothing()]];
  return rules.flatMap((rule, index): [string, Policy][] => {
    const policy = rulePolicy(rule, { ...options, namespace: meta.namespace });
    return policy ? [[name(index), policy]] : [];
  });
}

/** A policy without rules is there, and so asks for one that allows, but fits nothing. */
function matchesNothing(): Policy {
  return create(Policy, { permissions: [create(Permission, permissions.not(permissions.any))], principals: [create(Principal, principals.not(principals.any))] });
}

/** As Go reads a boolean. */
function isDryRun({ meta }: AuthorizationPolicy): boolean {
  return /^(1|t|T|true|TRUE|True)$/.test(meta.annotations['istio.io/dry-run'] ?? '');
}

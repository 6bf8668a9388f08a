import { compileRbac, type AccessControl } from '@meltemi/authz';
import type { RBAC } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { err, ok, type Result } from '@meltemi/base';
import type { StreamInfo } from '@meltemi/http';
import type { Counter, FlatStats } from '@meltemi/observe';
import { PolicyCounters } from './policy-counters.ts';
import { traceMetadata } from '../decision-trace/decision-trace.ts';

/** Policies in force and policies only tried, either of which may be missing. */
export interface AccessRules {
  readonly rules: AccessControl | null;
  readonly shadow: AccessControl | null;
}

export const noRules: AccessRules = { rules: null, shadow: null };

/** Compiles the two fields that the rbac filters of HTTP and of connections share. */
export function compileAccessRules(message: { readonly rules?: RBAC | undefined; readonly shadowRules?: RBAC | undefined }, path: string): Result<AccessRules> {
  const [rules, shadow] = [message.rules && compileRbac(message.rules, `${path}.rules`), message.shadowRules && compileRbac(message.shadowRules, `${path}.shadow_rules`)];
  const errors = [rules, shadow].flatMap((result) => (result === undefined || result.ok ? [] : result.error));
  if (errors.length > 0) return err(errors);
  return ok({ rules: rules?.ok === true ? rules.value : null, shadow: shadow?.ok === true ? shadow.value : null });
}

/** Where a filter counts and what its metadata is called. */
export interface AccessNames {
  /** Such as "http.ingress" */
  readonly statPrefix: string;
  readonly rulesStatPrefix: string;
  /** Also goes before the keys of the metadata. */
  readonly shadowStatPrefix: string;
  /** Namespace of the metadata. */
  readonly metadata: string;
  /** Which policies get counters of their own: all that match, those that deny, or none. */
  readonly perPolicy: 'all' | 'denying' | 'none';
}

/** Evaluates, counts and tells the access log. @hot */
export class AccessCheck {
  readonly #namespace: string;
  readonly #policyKey: string;
  readonly #resultKey: string;
  readonly #allowed: Counter;
  readonly #denied: Counter;
  readonly #shadowAllowed: Counter;
  readonly #shadowDenied: Counter;
  readonly #policyAllowed: PolicyCounters | null;
  readonly #policyDenied: PolicyCounters | null;
  readonly #policyShadowAllowed: PolicyCounters | null;
  readonly #policyShadowDenied: PolicyCounters | null;

  constructor(names: AccessNames, stats: FlatStats) {
    const base = joined(names.statPrefix, 'rbac');
    const [enforced, shadow] = [joined(base, names.rulesStatPrefix), joined(base, names.shadowStatPrefix)];
    this.#namespace = names.metadata;
    this.#policyKey = `${names.shadowStatPrefix}shadow_effective_policy_id`;
    this.#resultKey = `${names.shadowStatPrefix}shadow_engine_result`;
    this.#allowed = stats.counter(joined(enforced, 'allowed'));
    this.#denied = stats.counter(joined(enforced, 'denied'));
    this.#shadowAllowed = stats.counter(joined(shadow, 'shadow_allowed'));
    this.#shadowDenied = stats.counter(joined(shadow, 'shadow_denied'));
    const [all, denying] = [names.perPolicy === 'all', names.perPolicy !== 'none'];
    this.#policyAllowed = all ? new PolicyCounters(stats, enforced, 'allowed') : null;
    this.#policyDenied = denying ? new PolicyCounters(stats, enforced, 'denied') : null;
    this.#policyShadowAllowed = all ? new PolicyCounters(stats, shadow, 'shadow_allowed') : null;
    this.#policyShadowDenied = denying ? new PolicyCounters(stats, shadow, 'shadow_denied') : null;
  }

  /** Tries the shadow policies: nothing but a counter and metadata comes of it. */
  shadow(policies: AccessControl, info: StreamInfo): void {
    const policy = policies.match(info);
    const allowed = policies.allows(policy);
    (allowed ? this.#shadowAllowed : this.#shadowDenied).inc();
    if (policy !== null) {
      (allowed ? this.#policyShadowAllowed : this.#policyShadowDenied)?.inc(policy);
      info.setMetadata(this.#namespace, this.#policyKey, policy);
    }
    info.setMetadata(this.#namespace, this.#resultKey, allowed ? 'allowed' : 'denied');
  }

  /** False when it is to be denied; `lastPolicy` tells by which policy. */
  allows(policies: AccessControl, info: StreamInfo): boolean {
    const policy = policies.match(info);
    this.lastPolicy = policy;
    if (policies.action === 'log') info.setMetadata('envoy.common', 'access_log_hint', policy !== null);
    const allowed = policies.allows(policy);
    (allowed ? this.#allowed : this.#denied).inc();
    if (policy !== null) (allowed ? this.#policyAllowed : this.#policyDenied)?.inc(policy);
    // who asked what was decided is told which rule it was; for others that would be work for nothing
    if (allowed && policy !== null && info.dynamicMetadata?.[traceMetadata.namespace] !== undefined) info.setMetadata(this.#namespace, 'enforced_effective_policy_id', policy);
    return allowed;
  }

  /** The policy that the last `allows` matched; null when none did. */
  lastPolicy: string | null = null;
}

/** "a" + "b" → "a.b"; a dot at the end of the first, as Istio writes them, is not doubled. */
function joined(prefix: string, name: string): string {
  if (prefix === '' || name === '') return prefix + name;
  return prefix.endsWith('.') ? prefix + name : `${prefix}.${name}`;
}

import { compileAccessMatcher, compileRbac, type AccessControl, type AccessMatcher } from '@meltemi/authz';
import type { RBAC } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { err, ok, type Result } from '@meltemi/base';
import type { Matcher } from '@meltemi/api/gen/xds/type/matcher/v3/matcher.ts';
import type { StreamInfo } from '@meltemi/http';
import type { ParseContext } from '@meltemi/snapshot';
import type { Counter, FlatStats } from '@meltemi/observe';
import { PolicyCounters } from './policy-counters.ts';
import { traceMetadata } from '../decision-trace/decision-trace.ts';

/** Policies in force and policies only tried, either of which may be missing. */
export interface AccessRules {
  readonly rules: AccessDecider | null;
  readonly shadow: AccessDecider | null;
}

/** Policies, or a matcher in their place. */
export type AccessDecider = AccessControl | AccessMatcher;

/** The fields that the rbac filters of HTTP and of connections share. */
interface RulesMessage {
  readonly rules?: RBAC | undefined;
  readonly matcher?: Matcher | undefined;
  readonly shadowRules?: RBAC | undefined;
  readonly shadowMatcher?: Matcher | undefined;
}

export const noRules: AccessRules = { rules: null, shadow: null };

/** Compiles them. As in Envoy a matcher takes the place of rules, which are not looked at then. */
export function compileAccessRules(message: RulesMessage, over: 'request' | 'connection', { path, warn }: Pick<ParseContext, 'path' | 'warn'>): Result<AccessRules> {
  const compile = (rules: RBAC | undefined, matcher: Matcher | undefined, prefix: string): Result<AccessDecider | null> => {
    if (matcher === undefined) return rules === undefined ? ok(null) : compileRbac(rules, `${path}.${prefix}rules`);
    if (rules !== undefined) warn(`${path}.${prefix}rules`, `has no effect beside ${prefix}matcher`);
    return compileAccessMatcher(matcher, `${path}.${prefix}matcher`, over);
  };
  const [rules, shadow] = [compile(message.rules, message.matcher, ''), compile(message.shadowRules, message.shadowMatcher, 'shadow_')];
  if (rules.ok && shadow.ok) return ok({ rules: rules.value, shadow: shadow.value });
  return err([rules, shadow].flatMap((result) => (result.ok ? [] : result.error)));
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
  shadow(policies: AccessDecider, info: StreamInfo): void {
    const { policy, allowed } = policies.decide(info);
    (allowed ? this.#shadowAllowed : this.#shadowDenied).inc();
    if (policy !== null) {
      (allowed ? this.#policyShadowAllowed : this.#policyShadowDenied)?.inc(policy);
      info.setMetadata(this.#namespace, this.#policyKey, policy);
    }
    info.setMetadata(this.#namespace, this.#resultKey, allowed ? 'allowed' : 'denied');
  }

  /** False when it is to be denied; `lastPolicy` tells by which policy. */
  allows(policies: AccessDecider, info: StreamInfo): boolean {
    const { policy, allowed, logged } = policies.decide(info);
    this.lastPolicy = policy;
    if (logged !== null) info.setMetadata('envoy.common', 'access_log_hint', logged);
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

import type { AuthorizationPolicySpec, Config } from '@meltemi/config';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from './push-context.ts';
import { policiesFor } from './workload-policies.ts';

export type AuthorizationPolicy = Config<AuthorizationPolicySpec>;

/** The policies of one workload by what they do. A request meets them in this order; `audit` decides nothing. */
export interface AuthorizationPolicies {
  readonly custom: readonly AuthorizationPolicy[];
  readonly audit: readonly AuthorizationPolicy[];
  readonly deny: readonly AuthorizationPolicy[];
  readonly allow: readonly AuthorizationPolicy[];
}

export function authorizationFor(push: Pick<PushContext, 'authorization' | 'features'>, proxy: Pick<Proxy, 'namespace' | 'labels'>): AuthorizationPolicies {
  const policies = policiesFor(push.authorization, proxy, push.features);
  const of = (action: AuthorizationPolicySpec['action']) => policies.filter(({ spec }) => spec.action === action);
  return { custom: of('CUSTOM'), audit: of('AUDIT'), deny: of('DENY'), allow: of('ALLOW') };
}

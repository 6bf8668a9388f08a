import { isOfKind, requestAuthentication, type Config, type JwtRule } from '@meltemi/config';
import type { Features } from '../features.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from './push-context.ts';
import { policiesFor } from './workload-policies.ts';

/** A key set that somebody has to fetch. */
export interface WantedKeys {
  readonly id: string;
  readonly issuer: string;
  /** "" asks the issuer's OpenID configuration for it. */
  readonly jwksUri: string;
  readonly timeoutMs: number;
}

/** Istio's default for fetching keys. */
const defaultTimeoutMs = 5000;

/** Names the key set of a rule; undefined when the rule holds its keys itself. */
export function keysId({ issuer, jwksUri, jwks }: JwtRule): string | undefined {
  return jwks === '' ? `${issuer} ${jwksUri}` : undefined;
}

/** All rules for a workload: its namespace's policies, then the root namespace's, sorted by issuer. A token of any of them will do. */
export function jwtRulesFor(push: PushContext, proxy: Pick<Proxy, 'namespace' | 'labels'>): JwtRule[] {
  const policies = policiesFor(push.requestAuthentications, proxy, push.features);
  const own = policies.filter(({ meta }) => meta.namespace === proxy.namespace);
  const rest = policies.filter(({ meta }) => meta.namespace !== proxy.namespace);
  return [...own, ...rest].flatMap(({ spec }) => spec.jwtRules).toSorted((a, b) => (a.issuer < b.issuer ? -1 : a.issuer > b.issuer ? 1 : 0));
}

/** Every key set that some policy needs fetched here; the longest timeout of several counts. */
export function wantedKeys(configs: Iterable<Config>, features: Pick<Features, 'jwksFetchMode'>): WantedKeys[] {
  const wanted = new Map<string, WantedKeys>();
  for (const config of configs) {
    if (!isOfKind(config, requestAuthentication)) continue;
    for (const rule of config.spec.jwtRules) {
      const id = keysId(rule);
      if (id === undefined || (features.jwksFetchMode === 'envoy' && rule.jwksUri !== '')) continue;
      const { issuer, jwksUri, timeout = defaultTimeoutMs } = rule;
      wanted.set(id, { id, issuer, jwksUri, timeoutMs: Math.max(timeout, wanted.get(id)?.timeoutMs ?? 0) });
    }
  }
  return [...wanted.values()];
}

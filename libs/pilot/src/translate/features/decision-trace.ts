import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { DecisionTrace } from '@meltemi/api/gen/meltemi/filters/http/decision_trace/v1/decision_trace.ts';
import { effectiveProxyConfig } from '../../push-context/proxy-config.ts';
import type { PushContext } from '../../push-context/push-context.ts';
import type { Proxy } from '../../proxy/proxy.ts';
import { create, createAny, typed } from '../message.ts';
import type { HttpFeature } from './feature.ts';

/** In ProxyConfig's proxyMetadata: SPIFFE ids without "spiffe://" whose workloads may send x-meltemi-trace, with commas; "*" at an end stands for anything. */
export const tracePrincipals = 'MELTEMI_TRACE_PRINCIPALS';

/** Who may ask this proxy what it decides; nobody by default. */
export function principalsThatMayAsk(push: PushContext, proxy: Proxy): readonly string[] {
  return (effectiveProxyConfig(push, proxy).proxyMetadata[tracePrincipals] ?? '').split(',').map((one) => one.trim()).filter((one) => one !== '');
}

/** Answers x-meltemi-trace. Our own filter: only our proxies have it. */
export const decisionTrace: HttpFeature = {
  name: 'meltemi.filters.http.decision_trace',
  filter({ push, proxy, direction }) {
    const principals = proxy.meltemi ? principalsThatMayAsk(push, proxy) : [];
    if (principals.length === 0) return undefined;
    const own = `${push.mesh.trustDomain || 'cluster.local'}/ns/${proxy.namespace}/sa/${proxy.serviceAccount}`;
    const allowLocal = direction === 'outbound' && principals.some((pattern) => (pattern.endsWith('*') ? own.startsWith(pattern.slice(0, -1)) : pattern === own));
    return create(HttpFilter, typed(this.name, createAny('meltemi.filters.http.decision_trace.v1.DecisionTrace', DecisionTrace, { principals: [...principals], allowLocal })));
  },
};

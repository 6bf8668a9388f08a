import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { formatFieldErrors, systemClock, type Lifecycle } from '@meltemi/base';
import { StartError, type Logger } from '@meltemi/observe-edge';
import { parseReadinessProbe, Readiness } from '@meltemi/proxy';
import { askApplication } from '@meltemi/proxy-edge/readiness';

export interface OwnReadinessOptions {
  readonly node: Node;
  readonly log: Logger;
  readonly lifecycle: Lifecycle;
  /** Why the proxy itself is not ready. */
  readonly proxyReason: () => string | undefined;
}

/**
 * Probes the application as the proxy's own configuration says (`readinessProbe` of metadata PROXY_CONFIG, where Istio writes a WorkloadGroup's probe);
 * undefined when it says nothing. Never by what comes over the wire: a probe may be a program.
 */
export function startReadiness({ node, log, lifecycle, proxyReason }: OwnReadinessOptions): Readiness | undefined {
  const config: unknown = ((node.metadata ?? {}) as Readonly<Record<string, unknown>>)['PROXY_CONFIG'];
  const written = typeof config === 'object' && config !== null ? (config as { readonly readinessProbe?: unknown }).readinessProbe : undefined;
  if (written === undefined || written === null) return undefined;
  const probe = parseReadinessProbe(written, node.id.split('~')[1] ?? '127.0.0.1');
  if (!probe.ok) throw new StartError(`readinessProbe of PROXY_CONFIG: ${formatFieldErrors(probe.error)}`, { exitCode: 2 });
  const readiness = new Readiness({ probe: probe.value, clock: systemClock, ask: askApplication, proxyReason });
  readiness.subscribe(() => log.info({ ...readiness.current }, 'the application is found to be'));
  lifecycle.add('readiness probe', () => readiness.stop());
  readiness.start();
  return readiness;
}

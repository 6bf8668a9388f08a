import { fail, ok, type Result } from '@meltemi/base';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { AttributeName } from './vocabulary.ts';

/** Who sends a stream of reports, from the node of its identifier. */
export interface Reporter {
  /** The node id, for example sidecar~127.0.0.2~reviews-v1.default~default.svc.cluster.local */
  readonly id: string;
  readonly namespace: string;
  /** '' when the node does not say. */
  readonly serviceAccount: string;
  /** The SPIFFE id its stream proved; '' over plaintext. */
  readonly principal: string;
  /** Its own workload as the part of an attribute name after "source." or "destination.". */
  readonly workload: readonly (readonly [suffix: 'workload.name' | 'workload.namespace' | 'app' | 'version' | 'canonical_service' | 'canonical_revision' | 'cluster', value: string])[];
}

const maxTextLength = 253;

/** Reads node id and metadata (NAME, NAMESPACE, LABELS, WORKLOAD_NAME, SERVICE_ACCOUNT, CLUSTER_ID: Istio's names). Fails without a namespace. `principal` is what the connection proved. */
export function parseReporter(node: Node | undefined, principal = ''): Result<Reporter> {
  if (!node) return fail('identifier.node', 'is missing: the first message of a stream must say who sends it');
  const metadata = node.metadata ?? {};
  const namespace = text(metadata['NAMESPACE']) || namespaceOfId(node.id);
  if (namespace === '') return fail('identifier.node', `"${node.id.slice(0, 80)}" names no namespace: set metadata NAMESPACE or an id like sidecar~IP~NAME.NAMESPACE~DOMAIN`);
  const labels = isRecord(metadata['LABELS']) ? metadata['LABELS'] : {};
  const label = (...names: string[]) => names.map((name) => text(labels[name])).find((value) => value !== '') ?? '';
  const workload = text(metadata['WORKLOAD_NAME']) || text(metadata['NAME']);
  return ok({
    id: node.id,
    namespace,
    serviceAccount: text(metadata['SERVICE_ACCOUNT']),
    principal,
    workload: ([
      ['workload.name', workload],
      ['workload.namespace', namespace],
      ['app', label('app')],
      ['version', label('version')],
      ['canonical_service', label('service.istio.io/canonical-name', 'app.kubernetes.io/name', 'app') || workload],
      ['canonical_revision', label('service.istio.io/canonical-revision', 'app.kubernetes.io/version', 'version') || 'latest'],
      ['cluster', text(metadata['CLUSTER_ID'])],
    ] as const).filter(([, value]) => value !== ''),
  });
}

/** The reporter's own side of a report. */
export function ownAttributes(reporter: Reporter, side: 'source' | 'destination'): [AttributeName, string][] {
  return reporter.workload.map(([suffix, value]) => [`${side}.${suffix}`, value]);
}

function namespaceOfId(id: string): string {
  const name = id.split('~')[2] ?? '';
  const dot = name.lastIndexOf('.');
  return dot < 0 ? '' : name.slice(dot + 1, dot + 1 + maxTextLength);
}

/** A string of sane length; anything else is as good as absent. */
export function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, maxTextLength) : '';
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

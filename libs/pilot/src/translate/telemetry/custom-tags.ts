import type { TracingCustomTag } from '@meltemi/config';
import { CustomTag } from '@meltemi/api/gen/envoy/type/tracing/v3/custom_tag.ts';
import { formatReason } from '@meltemi/match';
import type { Proxy } from '../../proxy/proxy.ts';
import { create } from '../message.ts';

export interface TagSettings {
  readonly istioTags: readonly CustomTag[];
  readonly tags: Readonly<Record<string, TracingCustomTag>>;
  /** For our own proxy. */
  readonly ours: boolean;
}

/** Sorted by name. */
export function customTags({ istioTags: fixed, tags, ours }: TagSettings): CustomTag[] {
  const written = Object.entries(tags).flatMap(([name, tag]) => customTag(name, tag, ours) ?? []);
  return [...fixed, ...written].toSorted((a, b) => (a.tag < b.tag ? -1 : a.tag > b.tag ? 1 : 0));
}

/** What the workload is, on every span, and what policies on trial would have done. Source: Istio's tracing.go. */
export function istioTags(proxy: Proxy): CustomTag[] {
  const meshId = proxy.metadata['MESH_ID'];
  const facts: Readonly<Record<string, string>> = {
    'istio.canonical_revision': proxy.labels['service.istio.io/canonical-revision'] || 'latest',
    'istio.canonical_service': proxy.labels['service.istio.io/canonical-name'] || 'unknown',
    'istio.mesh_id': typeof meshId === 'string' && meshId !== '' ? meshId : 'unknown',
    'istio.namespace': proxy.namespace || 'default',
    'istio.cluster_id': proxy.clusterId || 'unknown',
  };
  const dryRuns = (['allow', 'deny'] as const).flatMap((action) => [
    dryRun(`istio.authorization.dry_run.${action}_policy.name`, `istio_dry_run_${action}_shadow_effective_policy_id`),
    dryRun(`istio.authorization.dry_run.${action}_policy.result`, `istio_dry_run_${action}_shadow_engine_result`),
  ]);
  return [...Object.entries(facts).map(([tag, value]) => literal(tag, value)), ...dryRuns];
}

function literal(tag: string, value: string): CustomTag {
  return create(CustomTag, { tag, type: { $case: 'literal', value: { value } } });
}

function dryRun(tag: string, key: string): CustomTag {
  const metadataKey = { key: 'envoy.filters.http.rbac', path: [{ segment: { $case: 'key' as const, value: key } }] };
  return create(CustomTag, { tag, type: { $case: 'metadata', value: { kind: { kind: { $case: 'request', value: {} } }, metadataKey, defaultValue: '' } } });
}

/** Our proxy would refuse a format that it cannot print: the tag is left out. */
function customTag(tag: string, { literal: text, environment, header, formatter }: TracingCustomTag, ours: boolean): CustomTag | undefined {
  if (text) return literal(tag, text.value);
  if (environment) return create(CustomTag, { tag, type: { $case: 'environment', value: environment } });
  if (header) return create(CustomTag, { tag, type: { $case: 'requestHeader', value: header } });
  if (formatter === undefined || (ours && formatReason(formatter.value) !== undefined)) return undefined;
  return create(CustomTag, { tag, type: { $case: 'value', value: formatter.value } });
}

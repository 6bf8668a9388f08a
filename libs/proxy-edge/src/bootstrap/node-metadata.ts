import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';

/** What the command line and environment say of this workload. */
export interface NodeInput {
  readonly serviceNode: string;
  readonly serviceCluster: string;
  readonly serviceZone: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly version: string;
}

/**
 * The xDS Node of a mesh proxy. Metadata comes as Istio's agent takes it: ISTIO_META_<KEY>=text and ISTIO_METAJSON_<KEY>=JSON; what is
 * missing is read from the node id (`type~IP~pod.namespace~domain`).
 */
export function meshNode(input: NodeInput): Result<Node> {
  const parts = input.serviceNode.split('~');
  if (parts.length !== 4) return err([{ path: '--service-node', message: `"${input.serviceNode}" must be type~IP~pod.namespace~domain, like sidecar~10.0.0.1~app-0.default~default.svc.cluster.local` }]);
  const errors: FieldError[] = [];
  const [, ip = '', name = ''] = parts;
  const fromEnvironment = metadataFromEnvironment(input.env, errors);
  const dot = name.lastIndexOf('.');
  const metadata: Record<string, unknown> = {
    NAME: dot < 0 ? name : name.slice(0, dot),
    NAMESPACE: dot < 0 ? 'default' : name.slice(dot + 1),
    SERVICE_ACCOUNT: 'default',
    CLUSTER_ID: 'Kubernetes',
    INSTANCE_IPS: ip,
    LABELS: {},
    ...proxyMetadata(fromEnvironment['PROXY_CONFIG']),
    ...fromEnvironment,
    MELTEMI_VERSION: input.version,
    // Proxies before this one spoke HTTP/1.1 alone, and pilot gives those TCP instead.
    MELTEMI_HTTP2: 'true',
  };
  if (errors.length > 0) return err(errors);
  return ok({
    id: input.serviceNode,
    cluster: input.serviceCluster || clusterName(metadata),
    metadata,
    dynamicParameters: {},
    locality: input.serviceZone === '' ? undefined : { region: '', zone: input.serviceZone, subZone: '' },
    userAgentName: 'meltemi-proxy',
    userAgentVersionType: { $case: 'userAgentVersion', value: input.version },
    extensions: [],
    clientFeatures: [],
    listeningAddresses: [],
  });
}

function metadataFromEnvironment(env: NodeInput['env'], errors: FieldError[]): Record<string, unknown> {
  const metadata: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) continue;
    if (name.startsWith('ISTIO_META_')) metadata[name.slice('ISTIO_META_'.length)] = value;
    else if (name.startsWith('ISTIO_METAJSON_')) {
      try {
        metadata[name.slice('ISTIO_METAJSON_'.length)] = JSON.parse(value) as unknown;
      } catch (cause) {
        errors.push({ path: name, message: `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}` });
      }
    }
  }
  return metadata;
}

/** What its ProxyConfig says in proxyMetadata; its environment says more. */
function proxyMetadata(config: unknown): Record<string, unknown> {
  const { proxyMetadata: written } = (typeof config === 'object' && config !== null ? config : {}) as { readonly proxyMetadata?: unknown };
  const entries = typeof written === 'object' && written !== null ? Object.entries(written) : [];
  return Object.fromEntries(entries.filter(([key]) => key.startsWith('ISTIO_META_')).map(([key, value]) => [key.slice('ISTIO_META_'.length), value]));
}

/** "app.namespace", as Istio names a workload's service cluster. */
function clusterName(metadata: Readonly<Record<string, unknown>>): string {
  const labels = (metadata['LABELS'] ?? {}) as Readonly<Record<string, unknown>>;
  const app = labels['app'] ?? metadata['WORKLOAD_NAME'] ?? metadata['NAME'];
  return `${String(app)}.${String(metadata['NAMESPACE'])}`;
}

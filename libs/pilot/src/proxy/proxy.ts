import { err, ok, type FieldError, type Result } from '@meltemi/base';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { EndpointLocality } from '../registry/model.ts';
import { labelLocality } from '../registry/workloads.ts';

export type InterceptionMode = 'REDIRECT' | 'TPROXY' | 'NONE';

/** Which IP families a proxy has. */
export interface Families {
  readonly v4: boolean;
  readonly v6: boolean;
}

/** An xDS client, as its Node describes it. */
export interface Proxy {
  /** The node id as sent. */
  readonly id: string;
  /** The node cluster as sent: whose spans these are. */
  readonly cluster: string;
  readonly type: 'sidecar' | 'router';
  /** The workload's addresses; the first is where listeners of its own bind. */
  readonly addresses: readonly [string, ...string[]];
  /** "productpage-v1-0.default" */
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  /** "default.svc.cluster.local": short names resolve in it. */
  readonly dnsDomain: string;
  readonly clusterId: string;
  readonly network: string;
  /** The Kubernetes node it runs on (metadata NODE_NAME); "" when unknown. */
  readonly node: string;
  /** Service names are resolved by the proxy itself (metadata DNS_CAPTURE): only then may a service's own virtual IP be used. */
  readonly dnsCapture: boolean;
  readonly locality: EndpointLocality;
  readonly interception: InterceptionMode;
  /** Proxyless gRPC (metadata GENERATOR=grpc). */
  readonly proxyless: boolean;
  /** Understands Istio's own filters: an Istio proxy or ours, never a plain Envoy. */
  readonly istioFilters: boolean;
  /** Our own proxy: what it would refuse is known here. */
  readonly meltemi: boolean;
  /** Istio's version, as patches compare it; our own proxy, which says none, is what it follows. '' for others that say none. */
  readonly istioVersion: string;
  /** All of the Node's metadata, as sent. */
  readonly metadata: Readonly<Record<string, unknown>>;
  /** Speaks HTTP/2: everybody but our own proxy, which says so itself (metadata MELTEMI_HTTP2=true). */
  readonly http2: boolean;
  /** Where the application listens when nothing is intercepted (metadata MELTEMI_APP_ADDRESS). Default 127.0.0.1. */
  readonly appAddress: string;
  /** Of its addresses. */
  readonly families: Families;
  /** The address is in 127.0.0.0/8: many proxies share one machine, so nothing may bind a wildcard or 127.0.0.1. */
  readonly sharesMachine: boolean;
}

/** The Istio whose API our proxy follows. */
const followedIstioVersion = '1.30.0';

/** Reads Istio's node id (`type~IP~name.namespace~domain`) and metadata. Errors name the field. */
export function proxyFromNode(node: Node): Result<Proxy> {
  const metadata = isRecord(node.metadata) ? node.metadata : {};
  const parts = node.id.split('~');
  const errors: FieldError[] = [];
  if (text(metadata, 'GENERATOR') === 'grpc' && parts.length !== 4) return ok(proxylessWithoutIstioId(node, metadata));
  const [kind = '', ip = '', name = '', domain = ''] = parts;
  if (parts.length !== 4) errors.push({ path: 'node.id', message: `"${node.id}" must be type~IP~name.namespace~domain, like sidecar~10.0.0.1~app-0.default~default.svc.cluster.local` });
  else if (kind !== 'sidecar' && kind !== 'router') errors.push({ path: 'node.id', message: `type "${kind}" is not served: use sidecar or router` });
  const addresses = proxyAddresses(ip, metadata);
  if (parts.length === 4 && addresses.length === 0) errors.push({ path: 'node.id', message: 'names no IP address: put one in the id or in metadata INSTANCE_IPS' });
  const namespace = text(metadata, 'NAMESPACE') || name.slice(name.lastIndexOf('.') + 1) || domain.split('.')[0] || '';
  if (parts.length === 4 && namespace === '') errors.push({ path: 'node.metadata.NAMESPACE', message: 'is missing: name the namespace of the workload' });
  const [first, ...rest] = addresses;
  if (errors.length > 0 || first === undefined) return err(errors);
  return ok(described(node, metadata, { type: kind === 'router' ? 'router' : 'sidecar', addresses: [first, ...rest], name, namespace, dnsDomain: domain || `${namespace}.svc.cluster.local` }));
}

/** Stock gRPC bootstraps name nodes as they like; then metadata alone tells the namespace. */
function proxylessWithoutIstioId(node: Node, metadata: Readonly<Record<string, unknown>>): Proxy {
  const namespace = text(metadata, 'NAMESPACE') || 'default';
  const [first = '0.0.0.0', ...rest] = proxyAddresses('', metadata);
  return described(node, metadata, { type: 'sidecar', addresses: [first, ...rest], name: node.id, namespace, dnsDomain: `${namespace}.svc.cluster.local` });
}

type Identity = Pick<Proxy, 'type' | 'addresses' | 'name' | 'namespace' | 'dnsDomain'>;

function described(node: Node, metadata: Readonly<Record<string, unknown>>, identity: Identity): Proxy {
  const written = node.locality;
  const labels = strings(metadata['LABELS']);
  const meltemi = text(metadata, 'MELTEMI_VERSION') !== '';
  const mode = text(metadata, 'INTERCEPTION_MODE').toUpperCase();
  return {
    id: node.id,
    cluster: node.cluster,
    ...identity,
    labels,
    serviceAccount: text(metadata, 'SERVICE_ACCOUNT') || 'default',
    clusterId: text(metadata, 'CLUSTER_ID') || 'Kubernetes',
    network: text(metadata, 'NETWORK') || (labels['topology.istio.io/network'] ?? ''),
    node: text(metadata, 'NODE_NAME'),
    dnsCapture: flag(metadata['DNS_CAPTURE']),
    locality: written && written.region !== '' ? { region: written.region, zone: written.zone, subZone: written.subZone } : labelLocality(labels),
    interception: mode === 'NONE' || mode === 'TPROXY' ? mode : 'REDIRECT',
    proxyless: text(metadata, 'GENERATOR') === 'grpc',
    meltemi,
    istioVersion: text(metadata, 'ISTIO_VERSION') || (meltemi ? followedIstioVersion : ''),
    metadata,
    http2: !meltemi || text(metadata, 'MELTEMI_HTTP2') === 'true',
    istioFilters: text(metadata, 'ISTIO_VERSION') !== '' || meltemi,
    appAddress: text(metadata, 'MELTEMI_APP_ADDRESS') || '127.0.0.1',
    families: familiesOf(identity.addresses),
    sharesMachine: identity.addresses[0].startsWith('127.'),
  };
}

function familiesOf(addresses: readonly string[]): Families {
  const v6 = addresses.some((address) => address.includes(':'));
  return { v6, v4: !v6 || addresses.some((address) => !address.includes(':')) };
}

/** Where something that Istio binds on `wanted` is bound for this proxy: wildcards and 127.0.0.1 become its own address on a shared machine. */
export function bindAddress(proxy: Proxy, wanted: string): string {
  if (!proxy.sharesMachine) return wanted;
  return wanted === '0.0.0.0' || wanted === '127.0.0.1' || wanted === '' ? proxy.addresses[0] : wanted;
}

function proxyAddresses(ip: string, metadata: Readonly<Record<string, unknown>>): string[] {
  const listed = text(metadata, 'INSTANCE_IPS').split(',').map((address) => address.trim());
  return [...new Set([ip, ...listed])].filter((address) => address !== '');
}

function text(metadata: Readonly<Record<string, unknown>>, key: string): string {
  const value = metadata[key];
  return typeof value === 'string' ? value : '';
}

/** Istio's bootstrap writes "true"; others may write the value itself. */
function flag(value: unknown): boolean {
  return value === true || (typeof value === 'string' && /^(1|t|true)$/i.test(value));
}

function strings(value: unknown): Record<string, string> {
  const result: Record<string, string> = {};
  if (isRecord(value)) for (const [key, entry] of Object.entries(value)) if (typeof entry === 'string') result[key] = entry;
  return result;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

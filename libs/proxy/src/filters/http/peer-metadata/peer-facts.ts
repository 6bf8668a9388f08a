import { Struct } from '@meltemi/api/gen/google/protobuf/struct.ts';
import type { StreamInfo } from '@meltemi/http';
import { nodeFacts, type NodeFacts } from '../../../node.ts';

/** Filter state keys under which the other side's facts are kept. */
export const downstreamPeerKey = 'downstream_peer';
export const upstreamPeerKey = 'upstream_peer';

/** Longer values are not decoded: ours are about 400 bytes. */
const maxHeaderLength = 16 * 1024;
const maxCached = 4096;
const cache = new Map<string, NodeFacts | null>();

/** Facts from an x-envoy-peer-metadata value (base64 of a protobuf Struct, as Istio's proxies write it); null when it is not one. Decoded once per value. */
export function readPeerFacts(value: string): NodeFacts | null {
  const known = cache.get(value);
  if (known !== undefined) return known;
  if (value.length > maxHeaderLength) return null;
  if (cache.size >= maxCached) cache.clear();
  const facts = decode(value);
  cache.set(value, facts);
  return facts;
}

/** The value for our own workload. Only what the other side's labels need. */
export function writePeerFacts(node: NodeFacts): string {
  const labels = {
    app: node.app,
    version: node.version,
    'service.istio.io/canonical-name': node.canonicalService,
    'service.istio.io/canonical-revision': node.canonicalRevision,
  };
  const metadata = { NAME: node.workload, NAMESPACE: node.namespace, WORKLOAD_NAME: node.workload, CLUSTER_ID: node.clusterId, MESH_ID: node.meshId, LABELS: labels };
  return Buffer.from(Struct.encode(Struct.wrap(metadata)).finish()).toString('base64');
}

function decode(value: string): NodeFacts | null {
  try {
    const metadata = Struct.unwrap(Struct.decode(Buffer.from(value, 'base64')));
    return nodeFacts({ id: '', cluster: '', metadata });
  } catch {
    return null;
  }
}

/** The other side of a stream as its metadata told, or null. @hot */
export function peerOf(info: StreamInfo, key: string): NodeFacts | null {
  return (info.filterState?.get(key) as NodeFacts | undefined) ?? null;
}

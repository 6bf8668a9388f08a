import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { resourceSet, xdsResource, xdsSnapshot, xdsType, type XdsSnapshot } from '@meltemi/xds';

/** A snapshot with clusters only: name → connect timeout in seconds, so that a changed number is a changed resource. */
export function clusterSnapshot(revision: string, clusters: Readonly<Record<string, number>>): XdsSnapshot {
  const resources = Object.entries(clusters).map(([name, seconds]) => {
    const message = Cluster.decode(new Uint8Array());
    message.name = name;
    message.connectTimeout = { seconds: BigInt(seconds), nanos: 0 };
    return xdsResource(name, { typeUrl: xdsType.cluster, value: Buffer.from(Cluster.encode(message).finish()) });
  });
  return xdsSnapshot(revision, [resourceSet(xdsType.cluster, resources)]);
}

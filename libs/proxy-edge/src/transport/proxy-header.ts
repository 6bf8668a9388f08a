import { addressWithoutPort, portOf, remoteAddress } from '@meltemi/http';
import { writeProxyHeader, type CapturedConnectionInfo } from '@meltemi/proxy';
import type { Cluster } from '@meltemi/snapshot';

/** The PROXY header for a client's own upstream connection; null: one that many clients share, the proxy speaks for itself. */
export function proxyHeader({ version, passThrough }: NonNullable<Cluster['proxyProtocol']>, client: CapturedConnectionInfo | null): Buffer {
  if (client === null) return writeProxyHeader(version, null);
  const [source, destination] = [remoteAddress(client), client.localAddress];
  const tlvs = (client.tlvs ?? []).filter(({ type }) => passThrough === 'all' || passThrough.includes(type));
  // What is no address, a Unix socket's path, makes the header one of the proxy itself.
  return writeProxyHeader(version, { sourceIp: addressWithoutPort(source), sourcePort: portOf(source), destinationIp: addressWithoutPort(destination), destinationPort: portOf(destination) }, tlvs);
}

import { addressWithoutPort, portOf, remoteAddress } from '@meltemi/http';
import { writeProxyHeader, type CapturedConnectionInfo, type ProxyTlv } from '@meltemi/proxy';
import type { Cluster, Endpoint } from '@meltemi/snapshot';

/** The PROXY header for a client's own upstream connection; null: one that many clients share, the proxy speaks for itself. */
export function proxyHeader({ version, passThrough, added }: NonNullable<Cluster['proxyProtocol']>, { proxyTlvs = [] }: Pick<Endpoint, 'proxyTlvs'>, client: CapturedConnectionInfo | null): Buffer {
  if (client === null) return writeProxyHeader(version, null);
  const [source, destination] = [remoteAddress(client), client.localAddress];
  const passed = (client.tlvs ?? []).filter(({ type }) => passThrough === 'all' || passThrough.includes(type));
  const tlvs = instead(instead(passed, added), proxyTlvs);
  // What is no address, a Unix socket's path, makes the header one of the proxy itself.
  return writeProxyHeader(version, { sourceIp: addressWithoutPort(source), sourcePort: portOf(source), destinationIp: addressWithoutPort(destination), destinationPort: portOf(destination) }, tlvs);
}

/** Values of the same type give way. */
function instead(tlvs: readonly ProxyTlv[], added: readonly ProxyTlv[]): readonly ProxyTlv[] {
  return added.length === 0 ? tlvs : [...tlvs.filter(({ type }) => !added.some((other) => other.type === type)), ...added];
}

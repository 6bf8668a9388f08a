import { remoteAddress } from '@meltemi/http';
import { writeProxyHeader, type CapturedConnectionInfo } from '@meltemi/proxy';
import type { Cluster } from '@meltemi/snapshot';

/** The PROXY header for a client's own upstream connection; null: one that many clients share, the proxy speaks for itself. */
export function proxyHeader({ version, passThrough }: NonNullable<Cluster['proxyProtocol']>, client: CapturedConnectionInfo | null): Buffer {
  const source = client && splitAddress(remoteAddress(client));
  const destination = client && splitAddress(client.localAddress);
  if (source === null || destination === null) return writeProxyHeader(version, null);
  const tlvs = (client?.tlvs ?? []).filter(({ type }) => passThrough === 'all' || passThrough.includes(type));
  return writeProxyHeader(version, { sourceIp: source.ip, sourcePort: source.port, destinationIp: destination.ip, destinationPort: destination.port }, tlvs);
}

/** Null for what is no "ip:port": a Unix socket. */
function splitAddress(text: string): { readonly ip: string; readonly port: number } | null {
  const [, ip = '', port = ''] = /^\[?([\d.]+|[0-9a-f:.]+)\]?:(\d+)$/i.exec(text) ?? [];
  return ip === '' ? null : { ip, port: Number(port) };
}

import type { Address } from '@meltemi/api/gen/envoy/config/core/v3/address.ts';
import { formatAddress } from '@meltemi/http';
import { parseIp } from '@meltemi/match';
import type { Report } from '@meltemi/route';
import type { SocketTarget } from './listener-types.ts';

/** Compiles an address; names instead of IPs only with `allowNames` (DNS clusters). Null when refused. */
export function compileAddress(address: Address | undefined, path: string, allowNames: boolean, report: Report): SocketTarget | null {
  const kind = address?.address;
  switch (kind?.$case) {
    case 'socketAddress': {
      const socket = kind.value;
      const at = `${path}.socket_address`;
      if (socket.protocol !== 0) report.refuse(`${at}.protocol`, 'only TCP is supported');
      if (socket.portSpecifier?.$case === 'namedPort') report.refuse(`${at}.named_port`, 'named ports are not supported');
      if (socket.resolverName !== '') report.refuse(`${at}.resolver_name`, 'custom resolvers are not supported');
      const port = socket.portSpecifier?.$case === 'portValue' ? socket.portSpecifier.value : 0;
      if (port > 65_535) report.refuse(`${at}.port_value`, `${port} is not a port`);
      if (socket.address === '' || (!allowNames && !parseIp(socket.address))) report.refuse(`${at}.address`, `"${socket.address}" is not an IP address`);
      return { kind: 'ip', address: socket.address, port };
    }
    case 'pipe':
      if (kind.value.path === '') report.refuse(`${path}.pipe.path`, 'is required');
      return { kind: 'pipe', path: kind.value.path, mode: kind.value.mode };
    default:
      report.refuse(path, kind ? 'internal addresses are not supported: use socket_address or pipe' : 'an address is required');
      return null;
  }
}

/** "ip:port", "[ip6]:port" or the path. */
export function targetKey(target: SocketTarget): string {
  return target.kind === 'pipe' ? target.path : formatAddress(target.address, target.port);
}

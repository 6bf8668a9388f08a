import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { parseIp } from '@meltemi/match';

/** What is captured, by whom and what not: the settings of Istio's `pilot-agent istio-iptables`, under its names. */
export interface CaptureOptions {
  /** Outbound connections come here. */
  readonly proxyPort: number;
  /** Inbound connections come here. */
  readonly inboundPort: number;
  /** Never captured on the way in: tunnels end at the proxy itself. */
  readonly tunnelPort: number;
  /** Whose connections are the proxy's own. */
  readonly proxyUids: readonly string[];
  readonly proxyGids: readonly string[];
  readonly mode: 'REDIRECT' | 'TPROXY';
  readonly tproxyMark: number;
  readonly tproxyRouteTable: number;
  /** Ports captured on the way in; '*' = all but the excluded ones. */
  readonly inboundPorts: '*' | readonly number[];
  readonly inboundExcludedPorts: readonly number[];
  /** Destinations captured on the way out; '*' = all but the excluded ones. */
  readonly outboundCidrs: '*' | readonly Range[];
  readonly outboundExcludedCidrs: readonly Range[];
  /** Captured on the way out wherever they lead. */
  readonly outboundPorts: readonly number[];
  readonly outboundExcludedPorts: readonly number[];
  /** Interfaces of virtual machines whose outbound traffic is captured. */
  readonly virtInterfaces: readonly string[];
  readonly excludedInterfaces: readonly string[];
  readonly redirectDns: boolean;
  /** DNS to any server, not only to `dnsServers`. */
  readonly captureAllDns: boolean;
  readonly dnsServers: readonly string[];
  readonly dnsPort: number;
  readonly dropInvalid: boolean;
  readonly ipv6: boolean;
}

/** "10.0.0.0/8" or an address alone, which is a range of one. */
export interface Range {
  readonly text: string;
  readonly family: 'v4' | 'v6';
  readonly loopback: boolean;
}

/** Ports of the proxy itself that clients reach directly: Prometheus, health, merged metrics. */
export const alwaysExcludedInbound: readonly number[] = [15090, 15021, 15020];

/** A flag as Istio names it; its environment variable is the name in capitals with underscores. */
export interface CaptureFlag {
  readonly short?: string;
  readonly name: string;
  readonly about: string;
  readonly fallback: string;
  /** Takes no value. */
  readonly isSwitch?: boolean;
}

/** Every flag, in the order of --help. */
export const captureFlags: readonly CaptureFlag[] = [
  { short: 'p', name: 'envoy-port', about: 'port of the proxy that outbound connections are brought to', fallback: '15001' },
  { short: 'z', name: 'inbound-capture-port', about: 'port of the proxy that inbound connections are brought to', fallback: '15006' },
  { short: 'e', name: 'inbound-tunnel-port', about: 'port of the proxy that tunnels come to: not captured', fallback: '15008' },
  { short: 'u', name: 'proxy-uid', about: 'user, by number, whose connections are not captured; several with commas', fallback: '1337' },
  { short: 'g', name: 'proxy-gid', about: 'group, by number, whose connections are not captured; several with commas', fallback: '1337' },
  { short: 'm', name: 'istio-inbound-interception-mode', about: 'how inbound connections are brought to the proxy: REDIRECT or TPROXY', fallback: 'REDIRECT' },
  { short: 't', name: 'istio-inbound-tproxy-mark', about: 'mark of packets under TPROXY', fallback: '1337' },
  { short: 'r', name: 'istio-inbound-tproxy-route-table', about: 'routing table under TPROXY', fallback: '133' },
  { short: 'b', name: 'istio-inbound-ports', about: 'inbound ports to capture, with commas; * is all, an empty text none', fallback: '*' },
  { short: 'd', name: 'istio-local-exclude-ports', about: `inbound ports left alone besides ${alwaysExcludedInbound.join(', ')}; counts with -b '*'`, fallback: '' },
  { short: 'i', name: 'istio-service-cidr', about: 'outbound destinations to capture (CIDR), with commas; * is all, an empty text none', fallback: '*' },
  { short: 'x', name: 'istio-service-exclude-cidr', about: 'outbound destinations left alone (CIDR), with commas', fallback: '' },
  { short: 'q', name: 'istio-outbound-ports', about: 'outbound ports captured wherever they lead, with commas', fallback: '' },
  { short: 'o', name: 'istio-local-outbound-ports-exclude', about: 'outbound ports left alone, with commas', fallback: '' },
  { short: 'k', name: 'kube-virt-interfaces', about: 'interfaces of virtual machines whose outbound connections are captured', fallback: '' },
  { short: 'c', name: 'istio-exclude-interfaces', about: 'interfaces left alone, with commas', fallback: '' },
  { name: 'redirect-dns', about: 'bring DNS queries to the servers of /etc/resolv.conf to port 15053', fallback: 'false', isSwitch: true },
  { name: 'capture-all-dns', about: 'with --redirect-dns: DNS queries to any server', fallback: 'false', isSwitch: true },
  { name: 'drop-invalid', about: 'drop packets that belong to no connection', fallback: 'false', isSwitch: true },
];

/** Checks the settings, all at once; `given` is by flag name, absent = the default. `machine` is what the flags do not say. */
export function parseCaptureOptions(given: Readonly<Record<string, string | undefined>>, machine: { readonly ipv6: boolean; readonly dnsServers: readonly string[] }): Result<CaptureOptions> {
  const read = new Reader(given);
  const redirectDns = read.boolean('redirect-dns');
  const captureAllDns = read.boolean('capture-all-dns');
  const mode = read.text('istio-inbound-interception-mode').toUpperCase();
  if (mode !== 'REDIRECT' && mode !== 'TPROXY') read.refuse('istio-inbound-interception-mode', `"${mode}" is not REDIRECT or TPROXY`);
  const inbound = read.text('istio-inbound-ports');
  const outbound = read.text('istio-service-cidr');
  const options: CaptureOptions = {
    proxyPort: read.port('envoy-port'), inboundPort: read.port('inbound-capture-port'), tunnelPort: read.port('inbound-tunnel-port'),
    proxyUids: read.ids('proxy-uid'), proxyGids: read.ids('proxy-gid'),
    mode: mode === 'TPROXY' ? 'TPROXY' : 'REDIRECT',
    tproxyMark: read.number('istio-inbound-tproxy-mark', 0xffff_ffff), tproxyRouteTable: read.number('istio-inbound-tproxy-route-table', 0xffff_ffff),
    inboundPorts: inbound === '*' ? '*' : read.ports('istio-inbound-ports'),
    inboundExcludedPorts: [...new Set([...alwaysExcludedInbound, ...read.ports('istio-local-exclude-ports')])],
    outboundCidrs: outbound === '*' ? '*' : read.ranges('istio-service-cidr'),
    outboundExcludedCidrs: read.ranges('istio-service-exclude-cidr'),
    outboundPorts: read.ports('istio-outbound-ports'), outboundExcludedPorts: read.ports('istio-local-outbound-ports-exclude'),
    virtInterfaces: read.interfaces('kube-virt-interfaces'), excludedInterfaces: read.interfaces('istio-exclude-interfaces'),
    redirectDns, captureAllDns, dnsServers: redirectDns && !captureAllDns ? machine.dnsServers.filter((server) => parseIp(server) !== null) : [], dnsPort: 15053,
    dropInvalid: read.boolean('drop-invalid'), ipv6: machine.ipv6,
  };
  if (redirectDns && !captureAllDns && options.dnsServers.length === 0) read.refuse('redirect-dns', '/etc/resolv.conf names no DNS server: add --capture-all-dns');
  return read.errors.length > 0 ? err(read.errors) : ok(options);
}

class Reader {
  readonly errors: FieldError[] = [];
  readonly #given: Readonly<Record<string, string | undefined>>;

  constructor(given: Readonly<Record<string, string | undefined>>) {
    this.#given = given;
  }

  refuse(name: string, message: string): void {
    this.errors.push({ path: `--${name}`, message });
  }

  text(name: string): string {
    return (this.#given[name] ?? captureFlags.find((flag) => flag.name === name)?.fallback ?? '').trim();
  }

  list(name: string): string[] {
    return this.text(name).split(',').map((part) => part.trim()).filter((part) => part !== '');
  }

  boolean(name: string): boolean {
    const text = this.text(name).toLowerCase();
    if (!['true', 'false', '1', '0', ''].includes(text)) this.refuse(name, `"${text}" is not true or false`);
    return text === 'true' || text === '1';
  }

  number(name: string, most: number, text = this.text(name)): number {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > most) this.refuse(name, `"${text}" is not a number from 1 to ${most}`);
    return value;
  }

  port(name: string): number {
    return this.number(name, 65_535);
  }

  ports(name: string): number[] {
    return this.list(name).map((text) => this.number(name, 65_535, text));
  }

  /** Also 0: root may run the proxy. */
  ids(name: string): string[] {
    const ids = this.list(name);
    for (const id of ids) if (!/^\d{1,10}$/.test(id)) this.refuse(name, `"${id}" is not a number: \`id -u NAME\` tells a user's`);
    if (ids.length === 0) this.refuse(name, 'is needed: without it the proxy would capture its own connections');
    return ids;
  }

  interfaces(name: string): string[] {
    const names = this.list(name);
    for (const each of names) if (!/^[A-Za-z0-9_.@:+-]{1,15}$/.test(each)) this.refuse(name, `"${each}" is not the name of an interface`);
    return names;
  }

  ranges(name: string): Range[] {
    return this.list(name).flatMap((text) => {
      const [address = '', length] = text.split('/');
      const bytes = parseIp(address);
      const most = bytes?.length === 4 ? 32 : 128;
      const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : -1;
      if (bytes === null || bits < 0 || bits > most) {
        this.refuse(name, `"${text}" is not an address range like 10.0.0.0/8 or fd00::/8`);
        return [];
      }
      const loopback = bytes.length === 4 ? bytes[0] === 127 : bytes.every((byte, i) => byte === (i === 15 ? 1 : 0));
      return [{ text: `${address}/${bits}`, family: bytes.length === 4 ? 'v4' as const : 'v6' as const, loopback }];
    });
  }
}

import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { systemClock, type Lifecycle } from '@meltemi/base';
import type { StatsRegistry } from '@meltemi/observe';
import { explainListenError, parseAddress, type Address, type Logger, type Readiness } from '@meltemi/observe-edge';
import { parseResolvConf, type ResolvConf } from '@meltemi/proxy';
import { DnsServer, dnsStats, Upstreams, type DnsAddress, type NameServer } from '@meltemi/proxy-edge/dns';
import { usage, type ProxyOptions } from './options.ts';

/** DNS as every program expects it. */
const dnsPort = 53;

export interface OwnDnsOptions {
  readonly values: ProxyOptions;
  readonly node: Node;
  readonly stats: StatsRegistry;
  readonly log: Logger;
  readonly readiness: Readiness;
  readonly lifecycle: Lifecycle;
}

/** Starts the DNS server of a sidecar whose metadata says DNS_CAPTURE; undefined for all others. */
export async function startDns({ values, node, stats, log, readiness, lifecycle }: OwnDnsOptions): Promise<{ readonly server: DnsServer; readonly port: number } | undefined> {
  const metadata = (node.metadata ?? {}) as Readonly<Record<string, unknown>>;
  const text = (key: string) => { const value = metadata[key]; return typeof value === 'string' ? value : value === true ? 'true' : ''; };
  if (!/^(1|t|true)$/i.test(text('DNS_CAPTURE')) || !node.id.startsWith('sidecar~')) return undefined;
  const address = listenAddress(values['dns-proxy-address']);
  const { servers, search } = readResolvConf(values['resolv-conf'], log);
  const addresses = addressesOf(address);
  const nameServers = servers.map((each) => ({ address: each, port: dnsPort })).filter((each) => !isOurs(each, { addresses, port: address.port }));
  if (nameServers.length === 0) log.warn({ file: values['resolv-conf'] }, 'no name server to ask: only hosts of the mesh have names');
  const server = new DnsServer({
    names: { namespace: text('NAMESPACE'), domain: node.id.split('~')[3] ?? '', search },
    upstreams: new Upstreams({ servers: nameServers, parallel: values['dns-forward-parallel'] === true, timeoutMs: values['dns-forward-timeout'] }),
    forwardBeforeTable: address.port === dnsPort, stats: dnsStats(stats), clock: systemClock, onReady: readiness.waitFor('names from pilot'),
  });
  try {
    const port = await server.listen(addresses, address.port);
    lifecycle.add('DNS server', () => server.stop());
    log.info({ addresses: addresses.map((each) => each.address), port, servers: nameServers.map((each) => each.address), search }, 'DNS server listens');
    return { server, port };
  } catch (cause) {
    throw explainListenError(cause, { flag: 'dns-proxy-address', address });
  }
}

function listenAddress(text: string): Address {
  const address = parseAddress(text);
  if (!address.ok || (address.value.host !== 'localhost' && isIP(address.value.host) === 0)) throw usage(`--dns-proxy-address: "${text}" must be an IP address or localhost with a port, like localhost:15053`);
  return address.value;
}

/** "localhost" is both families, as far as the machine has them. */
function addressesOf({ host }: Address): readonly DnsAddress[] {
  if (host !== 'localhost') return [{ address: host, optional: false }];
  return [{ address: '127.0.0.1', optional: false }, { address: '::1', optional: true }];
}

function isOurs(server: NameServer, own: { readonly addresses: readonly DnsAddress[]; readonly port: number }): boolean {
  return server.port === own.port && own.addresses.some(({ address }) => address === server.address);
}

function readResolvConf(file: string, log: Logger): ResolvConf {
  try {
    return parseResolvConf(readFileSync(file, 'utf8'));
  } catch (cause) {
    log.warn({ file, err: cause }, 'resolv.conf cannot be read');
    return { servers: [], search: [] };
  }
}

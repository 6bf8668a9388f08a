export { DnsServer, type DnsAddress, type DnsServerOptions } from './dns-server.ts';
export { dnsStats } from './stats.ts';
export { Upstreams, type NameServer, type UpstreamsOptions } from './upstreams.ts';

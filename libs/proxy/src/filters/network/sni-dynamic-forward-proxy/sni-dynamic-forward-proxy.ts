import { err, ok } from '@meltemi/base';
import { FilterConfig } from '@meltemi/api/gen/envoy/extensions/filters/network/sni_dynamic_forward_proxy/v3/sni_dynamic_forward_proxy.ts';
import { oneof, Report, use, checkFields, type FieldTable } from '@meltemi/route';
import { compileDnsCache } from '@meltemi/snapshot';
import { FilterStatus, NetworkStreamFilter, type ConnectionControls, type NetworkFilterFactory } from '../../../filter.ts';
import { tcpDynamicHostKey } from '../tcp-proxy/tcp-cluster.ts';

const settings: FieldTable<FilterConfig> = { dnsCacheConfig: use, portSpecifier: oneof({ portValue: use }) };
const defaultPort = 443;

/**
 * Has the TCP proxy look up the server that a client asked for in TLS, when its cluster is a dynamic forward proxy. The names are kept by the
 * cluster: the settings of its cache are in force, those here only have to be right.
 */
export const sniDynamicForwardProxyFilter: NetworkFilterFactory = {
  name: 'envoy.filters.network.sni_dynamic_forward_proxy',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig'],
  trust: 'untrusted-downstream-and-upstream',
  parse(bytes, ctx) {
    const message = FilterConfig.decode(bytes);
    const report = new Report();
    checkFields(message, settings, ctx.path, report);
    if (message.dnsCacheConfig) compileDnsCache(message.dnsCacheConfig, `${ctx.path}.dns_cache_config`, report);
    else report.refuse(`${ctx.path}.dns_cache_config`, 'is required');
    const port = message.portSpecifier?.value ?? defaultPort;
    if (port < 1 || port > 65_535) report.refuse(`${ctx.path}.port_value`, 'is not a port');
    for (const { path, message: reason } of report.warnings) ctx.warn(path, reason);
    return report.errors.length > 0 ? err(report.errors) : ok(port);
  },
  bind(port) {
    const filter = new SniDynamicForwardProxy(port as number);
    return { create: () => filter };
  },
};

class SniDynamicForwardProxy extends NetworkStreamFilter {
  readonly #port: number;

  constructor(port: number) {
    super();
    this.#port = port;
  }

  override onNewConnection({ info }: ConnectionControls): number {
    const name = info.connection.requestedServerName;
    if (name !== '') info.setFilterState(tcpDynamicHostKey, `${name}:${this.#port}`);
    return FilterStatus.continue;
  }
}

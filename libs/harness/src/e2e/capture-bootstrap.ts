const type = (name: string) => `type.googleapis.com/envoy.extensions.${name}`;
const hcm = (mark: string, cluster: string) => ({
  name: 'envoy.filters.network.http_connection_manager',
  typed_config: {
    '@type': type('filters.network.http_connection_manager.v3.HttpConnectionManager'), stat_prefix: mark,
    route_config: {
      name: mark, response_headers_to_add: [{ header: { key: 'x-captured', value: mark } }],
      virtual_hosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster } }] }],
    },
    http_filters: [{ name: 'envoy.filters.http.router', typed_config: { '@type': type('filters.http.router.v3.Router') } }],
  },
});
const originalDst = { name: 'envoy.filters.listener.original_dst', typed_config: { '@type': type('filters.listener.original_dst.v3.OriginalDst') } };
const at = (address: string, port: number) => ({ socket_address: { address, port_value: port } });
const range = (prefix: string, length: number) => ({ prefix_ranges: [{ address_prefix: prefix, prefix_len: length }] });
const passthrough = (name: string, more: object = {}) => ({ name, type: 'ORIGINAL_DST', lb_policy: 'CLUSTER_PROVIDED', connect_timeout: '2s', ...more });

/** What Istio gives a sidecar, without its services: whatever is captured goes on to where its client meant it, and is marked. */
export function captureBootstrap({ mode }: { mode: 'REDIRECT' | 'TPROXY' }): object {
  const inbound = (mark: string) => [
    { filter_chain_match: range('0.0.0.0', 0), filters: [hcm(mark, 'inbound4')] },
    { filter_chain_match: range('::', 0), filters: [hcm(mark, 'inbound6')] },
  ];
  const listeners = mode === 'REDIRECT' ? [
    { name: 'virtualOutbound', address: at('::', 15001), use_original_dst: true, filter_chains: [{ filters: [hcm('outbound', 'passthrough')] }] },
    { name: 'mysql', address: at('10.77.0.2', 3306), bind_to_port: false, filter_chains: [{ filters: [hcm('mysql', 'passthrough')] }] },
    { name: 'virtualInbound', address: at('::', 15006), listener_filters: [originalDst], filter_chains: inbound('inbound') },
  ] : [{ name: 'virtualInbound', address: at('::', 15106), transparent: true, listener_filters: [originalDst], filter_chains: inbound('tproxy') }];
  const clusters = [
    passthrough('passthrough'),
    passthrough('inbound4', { upstream_bind_config: { source_address: at('127.0.0.6', 0).socket_address } }),
    passthrough('inbound6', { upstream_bind_config: { source_address: at('::6', 0).socket_address } }),
  ];
  return { node: { id: 'captured', cluster: 'tests' }, admin: { address: at('127.0.0.1', 0) }, static_resources: { listeners, clusters } };
}

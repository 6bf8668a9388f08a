/** Filter state by which an earlier filter chooses the TCP proxy's cluster. */
export const tcpClusterKey = 'envoy.tcp_proxy.cluster';
/** Filter state by which one names the "host:port" that a dynamic forward proxy cluster looks up. */
export const tcpDynamicHostKey = 'envoy.upstream.dynamic_host';

/** Filter state by which an earlier filter chooses the TCP proxy's cluster. */
export const tcpClusterKey = 'envoy.tcp_proxy.cluster';

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messageRegistry } from '@meltemi/api';
import { isSet, routeFieldTables as route, type FieldRule } from '@meltemi/route';
import * as cluster from './cluster-tables.ts';
import * as listener from './listener-tables.ts';
import * as tls from './tls-tables.ts';

const tlsPackage = 'envoy.extensions.transport_sockets.tls.v3';
const hcm = 'envoy.extensions.filters.network.http_connection_manager.v3';

const tables: Readonly<Record<string, object>> = {
  'envoy.config.listener.v3.Listener': listener.listenerFields,
  'envoy.config.listener.v3.AdditionalAddress': listener.additionalAddressFields,
  'envoy.config.listener.v3.ListenerFilter': listener.listenerFilterFields,
  'envoy.config.listener.v3.FilterChain': listener.filterChainFields,
  'envoy.config.listener.v3.FilterChainMatch': listener.filterChainMatchFields,
  'envoy.config.listener.v3.Filter': listener.filterFields,
  [`${hcm}.HttpConnectionManager`]: listener.hcmFields,
  [`${hcm}.HttpFilter`]: listener.httpFilterFields,
  'envoy.extensions.common.matching.v3.ExtensionWithMatcher': listener.withMatcherFields,
  [`${hcm}.ScopedRds`]: listener.scopedRdsFields,
  'envoy.config.route.v3.ScopedRouteConfiguration': listener.scopedRouteFields,
  'envoy.config.core.v3.HttpProtocolOptions': listener.commonHttpFields,
  'envoy.config.core.v3.Http1ProtocolOptions': listener.http1Fields,
  'envoy.config.core.v3.Http2ProtocolOptions': listener.http2Fields,
  'envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy': listener.tcpProxyFields,
  'envoy.config.route.v3.RouteConfiguration': route.routeConfigurationFields,
  'envoy.config.route.v3.VirtualHost': route.virtualHostFields,
  'envoy.config.route.v3.Route': route.routeFields,
  'envoy.config.route.v3.RouteMatch': route.routeMatchFields,
  'envoy.config.route.v3.RouteAction': route.routeActionFields,
  'envoy.config.route.v3.RouteAction.RequestMirrorPolicy': route.mirrorFields,
  'envoy.config.route.v3.WeightedCluster': route.weightedClusterFields,
  'envoy.config.route.v3.WeightedCluster.ClusterWeight': route.clusterWeightFields,
  'envoy.config.route.v3.RetryPolicy': route.retryPolicyFields,
  'envoy.config.route.v3.RedirectAction': route.redirectFields,
  'envoy.config.route.v3.DirectResponseAction': route.directResponseFields,
  'envoy.config.route.v3.CorsPolicy': route.corsFields,
  'envoy.config.route.v3.HeaderMatcher': route.headerMatcherFields,
  'envoy.config.route.v3.QueryParameterMatcher': route.queryMatcherFields,
  'envoy.config.cluster.v3.Cluster': cluster.clusterFields,
  'envoy.config.cluster.v3.Cluster.LbSubsetConfig': cluster.subsetFields,
  'envoy.config.cluster.v3.Cluster.CommonLbConfig': cluster.commonLbFields,
  'envoy.config.cluster.v3.Cluster.LbSubsetConfig.LbSubsetSelector': cluster.subsetSelectorFields,
  'envoy.config.cluster.v3.Cluster.CommonLbConfig.ZoneAwareLbConfig': cluster.zoneAwareFields,
  'envoy.config.cluster.v3.Cluster.OriginalDstLbConfig': cluster.originalDstFields,
  'envoy.extensions.load_balancing_policies.subset.v3.Subset': cluster.subsetExtensionFields,
  'envoy.config.core.v3.HealthCheck': cluster.healthCheckFields,
  'envoy.config.core.v3.HealthCheck.HttpHealthCheck': cluster.httpCheckFields,
  'envoy.config.core.v3.HealthCheck.TcpHealthCheck': cluster.tcpCheckFields,
  'envoy.config.core.v3.HealthCheck.GrpcHealthCheck': cluster.grpcCheckFields,
  'envoy.config.cluster.v3.CircuitBreakers.Thresholds': cluster.thresholdFields,
  'envoy.config.cluster.v3.OutlierDetection': cluster.outlierFields,
  'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': cluster.upstreamHttpFields,
  'envoy.config.core.v3.BindConfig': cluster.bindFields,
  'envoy.config.endpoint.v3.ClusterLoadAssignment': cluster.loadAssignmentFields,
  'envoy.config.endpoint.v3.ClusterLoadAssignment.Policy': cluster.assignmentPolicyFields,
  'envoy.config.endpoint.v3.LocalityLbEndpoints': cluster.localityFields,
  'envoy.config.endpoint.v3.LbEndpoint': cluster.lbEndpointFields,
  'envoy.config.endpoint.v3.Endpoint': cluster.endpointFields,
  [`${tlsPackage}.UpstreamTlsContext`]: tls.upstreamTlsFields,
  [`${tlsPackage}.DownstreamTlsContext`]: tls.downstreamTlsFields,
  [`${tlsPackage}.CommonTlsContext`]: tls.commonTlsFields,
  [`${tlsPackage}.TlsParameters`]: tls.tlsParameterFields,
  [`${tlsPackage}.TlsCertificate`]: tls.tlsCertificateFields,
  [`${tlsPackage}.CertificateValidationContext`]: tls.validationFields,
  [`${tlsPackage}.Secret`]: tls.secretFields,
};

for (const [name, table] of Object.entries(tables)) {
  test(`every field of ${name} is classified`, () => {
    const message = messageRegistry().getMessage(name);
    assert.ok(message, `no message ${name}`);
    const rules = table as Readonly<Record<string, FieldRule>>;
    for (const field of message.fields) {
      const rule = field.oneof ? rules[field.oneof.localName] : rules[field.localName];
      assert.ok(rule, `${name}.${field.name} has no rule`);
      if (field.oneof) assert.ok(rule.kind === 'oneof' && rule.cases[field.localName], `${name}.${field.name} has no rule`);
    }
  });
}

test('defaults do not count as set', () => {
  for (const value of [undefined, '', 0, 0n, false, [], {}, Buffer.alloc(0)]) assert.equal(isSet(value), false);
  for (const value of ['x', 1, true, [0], { a: undefined }, Buffer.from('a')]) assert.equal(isSet(value), true);
});

export { xdsType, shortTypeName, isKnownType, emptyMeansWildcard, responseIsComplete, type TypeUrl } from './resource-types.ts';
export { xdsResource, resourceSet, xdsSnapshot, versionOfAll, shortHash, type XdsResource, type ResourceSet, type XdsSnapshot } from './resource-set.ts';
export { wellKnownClusters, outboundCluster, inboundCluster, clusterSni, parseClusterName, parseClusterSni, type ClusterName } from './names/cluster-name.ts';
export { httpProxyRouteName, outboundRoute, inboundRoute, gatewayHttpRoute, gatewayHttpsRoute, parseRouteName, type RouteName } from './names/route-name.ts';
export { wellKnownListeners, addressListener, parseListenerName, type ListenerName } from './names/listener-name.ts';
export { type SyncState, type Refusal, type TypeStatus, type SubscribedNames } from './server/type-status.ts';
export { type RejectedResource, type ClientUpdate, type Verdict } from './client/client-types.ts';

export { defaultFeatures, featuresFrom, featureVariables, type Features } from './features.ts';
export { proxyFromNode, bindAddress, type Proxy, type InterceptionMode } from './proxy/proxy.ts';
export { buildPushContext, type PushContext, type PushContextOptions, type Quarantined, type ServiceIndex } from './push-context/push-context.ts';
export { type Registry } from './registry/registry.ts';
export { serviceKey, type Service, type ServicePort, type Endpoint, type ServiceTarget, type Workload, type Protocol, type Resolution } from './registry/model.ts';
export { translate, routeNames, type Wanted } from './translate/translate.ts';
export { listenerReferences, routeClusters, type References } from './translate/references.ts';
export { effectivePolicy, type PortPolicy } from './translate/clusters/traffic-policy.ts';
export { difference, affects, type Difference } from './push-context/affects.ts';

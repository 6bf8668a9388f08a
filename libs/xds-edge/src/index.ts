export { startAdsServer, defaultAdsLimits } from './ads-server.ts';
export { secretService, type SecretService, type SecretServiceOptions } from './secret-service.ts';
export { startAdsClient } from './ads-client.ts';
export { aggregatedService, separateServices, type XdsService, type StreamMethod } from './xds-services.ts';
export { type AdsListener, type Peer, type ClientHello, type ConnectionRefusal, type Push, type AdsConnection, type ClientHandler, type AdsLimits, type AdsLimitReason, type AdsServerOptions, type AdsLog, type AdsServer } from './server-types.ts';
export { type AdsUpdate, type HealthSource, type AdsClientOptions, type AdsClient, type XdsTarget } from './client-types.ts';

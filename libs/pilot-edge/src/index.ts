export { ConfigCache, type CacheEntry, type CacheChange, type ConfigCacheOptions } from './config-cache.ts';
export { Discovery } from './discovery.ts';
export { type DiscoveryOptions, type Client, type Translate } from './discovery-types.ts';
export { configService, apiObject, type ConfigApiParts } from './config-api.ts';
export { statusService, proxyStatus, type StatusApiParts } from './status-api.ts';
export { debugRoutes } from './debug-routes.ts';
export { waitForRevision } from './wait.ts';
export { pilotStats, type PilotStats } from './stats.ts';
export { type VersionMemory } from './live-refusals.ts';

import type { Clock } from '@meltemi/base';
import type { Config, MeshConfigSpec } from '@meltemi/config';
import type { CheckedContext, Features, KeySets, Proxy, PushContext, ResolvedNames } from '@meltemi/pilot';
import type { ResourceSet } from '@meltemi/xds';
import type { AdsConnection, ClientHello } from '@meltemi/xds-edge';
import type { AutoRegistration } from './auto-registration.ts';
import type { VersionMemory } from './live-refusals.ts';
import type { QuietRanges } from './quiet-ranges.ts';
import type { Settlement } from './settlement.ts';
import type { PilotStats } from './stats.ts';

/** Istio to xDS, for one proxy and type. `names` undefined: everything the proxy's listeners and clusters refer to. */
export type Translate = (push: PushContext, proxy: Proxy, wanted: { readonly typeUrl: string; readonly names?: readonly string[] }) => ResourceSet;

export interface DiscoveryLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface DiscoveryOptions {
  /** What is in force now. */
  readonly configs: () => Iterable<Config>;
  readonly mesh: () => MeshConfigSpec;
  readonly translate: Translate;
  /** Decides whether this peer may be this proxy; a text refuses. */
  readonly authorize: (hello: ClientHello, proxy: Proxy) => string | undefined;
  /** Registers proxies by WorkloadGroups as they come and go; a text refuses. Default: nobody is registered. */
  readonly registration?: Pick<AutoRegistration, 'connect' | 'disconnect' | 'health'>;
  readonly clock: Clock;
  readonly log: DiscoveryLog;
  readonly stats: PilotStats;
  /** Last good versions and refused ones; without it, none are known. */
  readonly memory?: VersionMemory;
  /** Told of each new context. */
  readonly onContext?: (context: CheckedContext) => void;
  readonly clusterId?: string;
  readonly domain?: string;
  /** Istio's feature switches. Default Istio's. */
  readonly features?: Features;
  /** What was fetched of issuers' keys. Default nothing. */
  readonly keySets?: () => KeySets;
  /** PEM of the mesh's roots, for who asks for them. Default none. */
  readonly trustAnchors?: () => readonly string[];
  /** What the names of network gateways were looked up as. Default nothing. */
  readonly gatewayAddresses?: () => ResolvedNames;
  /** Default 100. */
  readonly debounceQuietMs?: number;
  /** Default 10,000. */
  readonly debounceMaxMs?: number;
  /** How long a proxy that left, or any after our own start, is expected back: it may carry traffic by older config meanwhile. Default 5,000. */
  readonly reconnectGraceMs?: number;
}

/** One connected proxy. */
export interface Client {
  readonly proxy: Proxy;
  readonly connection: AdsConnection;
  readonly connectedAtMs: number;
  readonly agentVersion: string;
  readonly settlement: Settlement;
  /** Why the newest context could not be translated for this proxy. */
  readonly failure: string | undefined;
  /** Revisions that changed nothing for it. */
  readonly quiet: QuietRanges;
}

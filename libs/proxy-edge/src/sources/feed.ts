import type { Result } from '@meltemi/base';
import type { SourceSpec } from '@meltemi/snapshot';
import type { AdsUpdate } from '@meltemi/xds-edge';

/** One place resources come from: a file, a stream of one type, or the aggregated stream. */
export interface Feed {
  /** For logs: "file /etc/cds.yaml", "xDS server 127.0.0.1:18000". */
  readonly label: string;
  /** An update says everything there is, so what it does not refuse is not refused any more. */
  readonly stateOfTheWorld: boolean;
  subscribe(typeUrl: string, names: Iterable<string> | '*'): void;
  unsubscribe(typeUrl: string, names: Iterable<string> | '*'): void;
  stop(): Promise<void>;
}

/** What a feed tells. Updates of one type come one after another, each once the one before was answered. */
export interface FeedEvents {
  onUpdate(update: AdsUpdate): void;
  /** Nothing could be read: what is in force stays. `final`: waiting for a first answer makes no sense. */
  onFailure(failure: { readonly reason: string; readonly rejected: boolean; readonly final: boolean }): void;
  onState(connected: boolean): void;
}

/** Opens sources; `self` is resolved before. An error says why this source cannot be followed. */
export type OpenFeed = (spec: SourceSpec, typeUrl: string, events: FeedEvents) => Result<Feed>;

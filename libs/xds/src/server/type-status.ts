/** SYNCED: the client acknowledged the newest; STALE: sent and not acknowledged, or refused; NOT SENT: nothing of this type was sent. As istioctl shows them. */
export type SyncState = 'SYNCED' | 'STALE' | 'NOT SENT';

/** What a client refused, and why. */
export interface Refusal {
  /** Version of the refused response. */
  readonly version: string;
  /** The client's words. */
  readonly message: string;
  /** Resources the message names, or every resource of the refused response when it names none. */
  readonly resources: readonly string[];
}

/** Where one type of one client stands. */
export interface TypeStatus {
  readonly typeUrl: string;
  readonly state: SyncState;
  /** Version of the set the client was last brought to; '' = none. */
  readonly sentVersion: string;
  /** Version of the set in the last accepted response; '' = none. */
  readonly ackedVersion: string;
  /** The newest refusal, while what it refused is still what the client should have. */
  readonly lastNack: Refusal | undefined;
  /** True when the client let a step's deadline pass. */
  readonly lagging: boolean;
  /** Names asked for; undefined = everything (wildcard). */
  readonly names: readonly string[] | undefined;
}

/** What a stream asks for of one type. */
export interface SubscribedNames {
  readonly wildcard: boolean;
  /** Explicit names, besides the wildcard. */
  readonly names: ReadonlySet<string>;
}

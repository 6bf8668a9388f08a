import { err } from '@meltemi/base';

/**
 * Why citadel did not do what it was asked. `unauthenticated`: the caller did not prove who it is; `denied`: it did, but may not have this;
 * `invalid`: the request itself; `exhausted`: a limit; `unavailable`: somebody citadel needs does not answer; `internal`: our fault. The last three are worth retrying.
 */
export type CitadelErrorCode = 'unauthenticated' | 'denied' | 'invalid' | 'exhausted' | 'unavailable' | 'internal';

export interface CitadelError {
  readonly code: CitadelErrorCode;
  /** For the caller: what is wrong and what to do. Holds no secret. */
  readonly message: string;
  /** For the log and nobody else: what would tell a guesser too much. */
  readonly detail?: string;
  /** Where it failed, for the metrics. */
  readonly stage: 'authentication' | 'request' | 'signing';
}

/** A failed Result with a CitadelError. */
export function refuse(stage: CitadelError['stage'], code: CitadelErrorCode, message: string, detail?: string): { readonly ok: false; readonly error: CitadelError } {
  return err({ code, message, stage, ...(detail !== undefined && detail !== '' && { detail }) });
}

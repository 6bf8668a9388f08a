import type { PeerApi } from './peer-api.ts';
import type { OtherPilot, PilotDirectory } from './pilot-directory.ts';

/** What one of the others answered, or why it did not. */
export interface Asked<T> {
  readonly pilot: OtherPilot;
  readonly answer: T | undefined;
  /** Empty with an answer. */
  readonly error: string;
}

/** Asks every other pilot at once; each has a deadline, and one that does not answer is in the result, too. */
export function askOthers<T>(pilots: Pick<PilotDirectory, 'others'> | undefined, ask: (api: PeerApi) => Promise<T>): Promise<Asked<T>[]> {
  return Promise.all((pilots?.others() ?? []).map(async (pilot): Promise<Asked<T>> => {
    if (typeof pilot.api === 'string') return { pilot, answer: undefined, error: pilot.api };
    try {
      return { pilot, answer: await ask(pilot.api), error: '' };
    } catch (cause) {
      return { pilot, answer: undefined, error: cause instanceof Error ? cause.message : String(cause) };
    }
  }));
}

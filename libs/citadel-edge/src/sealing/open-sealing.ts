import type { Kept, SaveOutcome } from '@meltemi/citadel';
import { newDataKey, unwrapDataKey, wrapDataKey, type DataKey } from './sealing-record.ts';
import type { SealingSecret } from './sealing-secret.ts';

/** What opens a keystore. */
export interface Sealing {
  readonly secret: SealingSecret;
  /** The one from before: a keystore that only this one opens is sealed with `secret` from then on. */
  readonly previous?: SealingSecret;
}

/** Where the sealing record is kept. */
export interface SealingSlot {
  load(): Promise<Kept<string> | undefined>;
  save(record: string, expected: string | undefined): Promise<SaveOutcome>;
}

const maxAttempts = 5;

/** The data key of a keystore; makes one when there is none yet, `unfinished` as given. Rejects, having changed nothing, when no secret opens it. */
export async function openSealing(slot: SealingSlot, { secret, previous }: Sealing, unfinished: () => Promise<boolean>): Promise<DataKey> {
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const kept = await slot.load();
    if (!kept) {
      const made = newDataKey(await unfinished());
      if ((await slot.save(await wrapDataKey(made, secret), undefined)) === 'saved') return made;
      continue;
    }
    const opened = await unwrapDataKey(kept.value, secret);
    if (opened.ok) return opened.value;
    const before = previous && (await unwrapDataKey(kept.value, previous));
    if (!before) throw new Error(`${opened.error}. Nothing was changed`);
    if (!before.ok) throw new Error(`neither the new secret nor the previous one opens the keystore (${opened.error}; ${before.error}). Nothing was changed`);
    if ((await slot.save(await wrapDataKey(before.value, secret), kept.revision)) === 'saved') return before.value;
  }
  throw new Error('other citadels kept changing how the keystore is sealed');
}

import type { AdsUpdate } from '@meltemi/xds-edge';

/** Hands a name table on: it is the one resource of its type, and does not go through the workers. */
export function takeNameTable(update: AdsUpdate, take: (table: Uint8Array) => void): void {
  try {
    for (const { any } of update.added) take(any.value);
  } catch (cause) {
    return update.reject(`the name table cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  return update.accept();
}

import { fail, ok, type Result } from '@meltemi/base';
import { isSerial } from './revocation-state.ts';

/** A certificate that is out there: what it takes to revoke it. */
export interface IssuedRecord {
  /** Lower-case hex without leading zeros. */
  readonly serial: string;
  readonly spiffeId: string;
  /** Milliseconds since the epoch. */
  readonly notAfter: number;
}

const version = 1;

/** The text of a batch that keystores keep. */
export function formatIssued(records: readonly IssuedRecord[]): string {
  return `${JSON.stringify({ version, issued: records.map(({ serial, spiffeId, notAfter }) => [serial, spiffeId, notAfter]) })}\n`;
}

export function parseIssued(text: string): Result<IssuedRecord[]> {
  let value: { readonly version?: unknown; readonly issued?: unknown } | null;
  try {
    value = JSON.parse(text) as typeof value;
  } catch {
    return fail('', 'is not JSON');
  }
  if (value?.version !== version || !Array.isArray(value.issued)) return fail('', 'is damaged, or was written by a newer citadel');
  const records: IssuedRecord[] = [];
  for (const entry of value.issued as unknown[]) {
    const [serial, spiffeId, notAfter] = Array.isArray(entry) ? (entry as unknown[]) : [];
    if (typeof serial !== 'string' || !isSerial(serial) || typeof spiffeId !== 'string' || typeof notAfter !== 'number') return fail('', 'is damaged');
    records.push({ serial, spiffeId, notAfter });
  }
  return ok(records);
}

import type { ConfigKind } from '../kinds/kind.ts';
import type { Findings } from '../rules/findings.ts';
import type { Exception } from './exception.ts';
import { endsAt, exceptionsOf } from './support.ts';
import { usedFields, type UsedField } from './used.ts';

/** Warns of (or, where half of it would let somebody in, refuses) every refused field (or value) that an object sets. Of a kind nothing acts on only values are told, the rest is said of the kind. */
export function checkSupport(kind: ConfigKind, content: unknown, findings: Findings): void {
  const table = refusedOf(kind);
  if (table.length === 0) return;
  // What the kind's own validation says of a field is the better sentence.
  const told = new Set(findings.warnings.map((one) => one.path));
  for (const field of usedFields(kind.schema, content, 'spec')) {
    const one = table.find((exception) => (kind.acts === 'full' || exception.values !== undefined) && endsAt(exception.path, field.path) && isMeant(exception, field));
    if (!one || told.has(field.at)) continue;
    told.add(field.at);
    if (one.level === 'error') findings.error(field.at, one.consequence);
    else findings.warn(field.at, one.consequence);
  }
}

/** True when the exception is about the value the field has. */
export function isMeant({ values }: Exception, { value }: UsedField): boolean {
  return values === undefined || values.includes(value);
}

const refused = new Map<string, readonly Exception[]>();

function refusedOf(kind: ConfigKind): readonly Exception[] {
  const name = `${kind.group}/${kind.kind}`;
  let table = refused.get(name);
  if (!table) {
    table = exceptionsOf(kind).filter((one) => one.support === 'refused');
    refused.set(name, table);
  }
  return table;
}

import type { FieldError } from '@meltemi/base';
import { checkFields, Report, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';

/** Warns of the fields that only tune, and returns the errors for those that the filter would have to act on and cannot. Does not descend. */
export function checkSettings<T extends object>(message: T, table: FieldTable<T>, ctx: Pick<ParseContext, 'path' | 'warn'>): FieldError[] {
  const report = new Report();
  checkFields(message, table, ctx.path, report);
  for (const { path, message: reason } of report.warnings) ctx.warn(path, reason);
  return report.errors;
}

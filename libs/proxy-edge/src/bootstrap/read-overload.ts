import type { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { ok, type FieldError, type Result } from '@meltemi/base';
import { compileOverload, type OverloadConfig } from '@meltemi/snapshot';

/** What a bootstrap says of overload; null without an overload manager. */
export function readOverload({ overloadManager }: Pick<Bootstrap, 'overloadManager'>): Result<{ readonly config: OverloadConfig | null; readonly warnings: readonly FieldError[] }> {
  if (overloadManager === undefined) return ok({ config: null, warnings: [] });
  const compiled = compileOverload(overloadManager);
  return compiled.ok ? ok({ config: compiled.value.value, warnings: compiled.value.warnings }) : compiled;
}

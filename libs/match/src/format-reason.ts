import { formatFieldErrors } from '@meltemi/base';
import { compileFormat } from '@meltemi/http';

/** Why a format of Envoy's command operators cannot be printed here, or undefined. */
export function formatReason(text: string): string | undefined {
  const compiled = compileFormat(text);
  return compiled.ok ? undefined : formatFieldErrors(compiled.error);
}

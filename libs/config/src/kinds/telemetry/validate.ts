import { celReason, celSyntaxReason, formatReason } from '@meltemi/match';
import type { ObjectMeta } from '../../object.ts';
import type { Findings } from '../../rules/findings.ts';
import { child, item } from '../../schema/schema.ts';
import { checkTargets } from '../targeted-policy.ts';
import type { MetricsOverride, TelemetrySpec, TelemetryTracing } from './types.ts';

/** Source: istio.io/istio pkg/config/validation (webhook), read for its rules. A filter that is no CEL is refused; an expression that cannot be run here is a warning: that setting is left out alone. */
export function validate(spec: TelemetrySpec, _about: ObjectMeta, findings: Findings): void {
  checkTargets(spec, findings);
  if (spec.tracing.length > 1) findings.warn('spec.tracing', 'several entries for the same side: the last one to say something counts');
  for (const [i, one] of spec.tracing.entries()) checkTracing(one, item('spec.tracing', i), findings);
  for (const [i, one] of spec.metrics.entries()) for (const [j, override] of one.overrides.entries()) checkOverride(override, item(`${item('spec.metrics', i)}.overrides`, j), findings);
  for (const [i, { filter }] of spec.accessLogging.entries()) {
    if (!filter) continue;
    const path = `${item('spec.accessLogging', i)}.filter.expression`;
    const wrong = filter.expression === '' ? 'must not be empty' : celSyntaxReason(filter.expression);
    if (wrong !== undefined) findings.error(path, wrong);
    else warnOf(filter.expression, path, findings);
  }
}

function checkTracing({ providers, customTags }: TelemetryTracing, path: string, findings: Findings): void {
  if (providers.length > 1) findings.warn(`${path}.providers`, 'spans go to the first provider only, as in Istio');
  for (const [tag, { formatter }] of Object.entries(customTags)) {
    const reason = formatter && formatReason(formatter.value);
    if (reason !== undefined) findings.warn(`${child(`${path}.customTags`, tag)}.formatter`, `unsupported: ${reason}; the tag is left out`);
  }
}

function checkOverride({ tagOverrides }: MetricsOverride, path: string, findings: Findings): void {
  for (const [tag, { operation, value }] of Object.entries(tagOverrides)) {
    const at = `${child(`${path}.tagOverrides`, tag)}.value`;
    if (operation === 'REMOVE' && value !== '') findings.error(at, 'cannot be set for operation REMOVE');
    else if (operation === 'UPSERT' && value === '') findings.error(at, 'is required for operation UPSERT');
    else if (operation === 'UPSERT') warnOf(value, at, findings);
  }
}

function warnOf(expression: string, path: string, findings: Findings): void {
  const reason = celReason(expression);
  if (reason !== undefined) findings.warn(path, `unsupported: ${reason}; left out`);
}

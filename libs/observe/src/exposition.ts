import { Histogram } from './child.ts';
import type { Family, FamilySpec } from './family.ts';
import type { StatsRegistry } from './registry.ts';

/** `prometheus` is text format 0.0.4; `openmetrics` is OpenMetrics 1.0. */
export type ExpositionFormat = 'prometheus' | 'openmetrics';

export const expositionContentType: Readonly<Record<ExpositionFormat, string>> = {
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
};

/** What a scraper's Accept header asks for; the classic text when it asks for nothing we speak. */
export function negotiateExposition(accept: string | undefined): ExpositionFormat {
  return accept?.includes('application/openmetrics-text') ? 'openmetrics' : 'prometheus';
}

/** The registry as a scraper reads it; families sorted by name, families without series left out. */
export function expositionText(registry: StatsRegistry, format: ExpositionFormat = 'prometheus'): string {
  const lines: string[] = [];
  let heading = '';
  for (const family of registry.read()) {
    if (family.size === 0) continue;
    if (family.spec.name !== heading) pushHeading(family.spec, format, lines);
    heading = family.spec.name;
    pushSeries(family, lines);
  }
  if (format === 'openmetrics') lines.push('# EOF');
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function pushHeading(spec: FamilySpec, format: ExpositionFormat, lines: string[]): void {
  const { name, help } = spec;
  const type = typeOf(spec, format);
  const title = format === 'openmetrics' && type === 'counter' ? name.slice(0, -'_total'.length) : name;
  if (help !== '') lines.push(`# HELP ${title} ${escapeHelp(help, format)}`);
  lines.push(`# TYPE ${title} ${type}`);
}

function pushSeries(family: Family, lines: string[]): void {
  const { name } = family.spec;
  for (const series of family.series()) {
    const labels = labelText(family.spec.labelNames, series.values);
    if (series.child instanceof Histogram) pushHistogram(name, labels, series.child, lines);
    else lines.push(`${name}${labels === '' ? '' : `{${labels}}`} ${numberText(series.child.value)}`);
  }
}

/** OpenMetrics wants counters to end in _total; one that does not is honest as `unknown`. */
function typeOf(spec: FamilySpec, format: ExpositionFormat): string {
  if (format === 'openmetrics' && spec.kind === 'counter' && !spec.name.endsWith('_total')) return 'unknown';
  return spec.kind;
}

function pushHistogram(name: string, labels: string, histogram: Histogram, lines: string[]): void {
  const prefix = labels === '' ? '' : `${labels},`;
  let cumulative = 0;
  for (let index = 0; index < histogram.counts.length; index++) {
    cumulative += histogram.counts[index] ?? 0;
    const bound = index < histogram.bounds.length ? numberText(histogram.bounds[index] ?? 0) : '+Inf';
    lines.push(`${name}_bucket{${prefix}le="${bound}"} ${cumulative}`);
  }
  const suffix = labels === '' ? '' : `{${labels}}`;
  lines.push(`${name}_sum${suffix} ${numberText(histogram.sum)}`, `${name}_count${suffix} ${cumulative}`);
}

function labelText(names: readonly string[], values: readonly string[]): string {
  let text = '';
  for (let index = 0; index < names.length; index++) text += `${index === 0 ? '' : ','}${names[index]}="${escapeLabel(values[index] ?? '')}"`;
  return text;
}

function escapeLabel(value: string): string {
  return /[\\"\n]/.test(value) ? value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n') : value;
}

function escapeHelp(help: string, format: ExpositionFormat): string {
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return format === 'openmetrics' ? escaped.replaceAll('"', '\\"') : escaped;
}

function numberText(value: number): string {
  if (value === Infinity) return '+Inf';
  if (value === -Infinity) return '-Inf';
  return String(value);
}

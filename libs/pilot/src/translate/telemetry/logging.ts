import type { MeshConfigSpec, TelemetryAccessLogging, WorkloadMode } from '@meltemi/config';

/** How one provider logs. */
export interface ProviderLogging {
  readonly name: string;
  readonly disabled: boolean;
  /** CEL; undefined: everything. */
  readonly filter: string | undefined;
}

/**
 * Which providers log, sorted by name, or undefined when neither Telemetry nor default providers say anything: then MeshConfig's own access log counts.
 * Source: Istio's telemetry.go, mergeLogs.
 */
export function loggingProviders(mesh: Pick<MeshConfigSpec, 'defaultProviders'>, objects: readonly (readonly TelemetryAccessLogging[])[], mode: Exclude<WorkloadMode, 'CLIENT_AND_SERVER'>): readonly ProviderLogging[] | undefined {
  const defaults = mesh.defaultProviders.accessLogging;
  if (objects.length === 0) return defaults.length === 0 ? undefined : sorted(defaults.map((name) => ({ name, disabled: false, filter: undefined })));
  const fits = ({ match }: TelemetryAccessLogging) => match === undefined || match.mode === 'CLIENT_AND_SERVER' || match.mode === mode;
  const filters = new Map<string, string | undefined>();
  let inScope: readonly string[] = defaults;
  for (const entries of objects) {
    const fitting = entries.filter(fits);
    for (const { providers, filter } of fitting) for (const { name } of providers) filters.set(name, filter?.expression);
    const names = fitting.flatMap(({ providers }) => providers.map(({ name }) => name));
    if (names.length > 0) inScope = names;
  }
  const result = new Map<string, ProviderLogging>();
  let parent: readonly string[] = defaults;
  for (const entry of objects.flat()) {
    if (entry.providers.length > 0) parent = entry.providers.map(({ name }) => name);
    if (!fits(entry)) continue;
    for (const name of parent) if (inScope.includes(name)) result.set(name, { name, disabled: entry.disabled === true, filter: entry.disabled === true ? undefined : filters.get(name) });
  }
  return result.size === 0 ? undefined : sorted([...result.values()]);
}

function sorted(list: readonly ProviderLogging[]): readonly ProviderLogging[] {
  return list.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

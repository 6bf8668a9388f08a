import type { Bootstrap } from '@meltemi/api/gen/envoy/config/bootstrap/v3/bootstrap.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { Report } from '@meltemi/route';
import { compileApiSource, compileConfigSource, type ApiSource, type ConfigSource } from '@meltemi/snapshot';

/** Where a bootstrap says its dynamic resources come from. */
export interface DynamicResources {
  readonly lds: ConfigSource | null;
  readonly cds: ConfigSource | null;
  readonly ads: ApiSource | null;
  readonly warnings: readonly FieldError[];
}

const at = 'dynamic_resources';

/** Compiles dynamic_resources; errors name the field and what to write instead. */
export function compileDynamicResources({ dynamicResources: dynamic }: Bootstrap): Result<DynamicResources> {
  if (!dynamic) return ok({ lds: null, cds: null, ads: null, warnings: [] });
  const report = new Report();
  const rootSource = (field: 'lds_config' | 'cds_config', message: typeof dynamic.ldsConfig) => {
    const source = message ? compileConfigSource(message, `${at}.${field}`, report) : null;
    if (source?.spec.kind === 'self') report.refuse(`${at}.${field}.self`, 'a bootstrap comes from no source: use ads, path_config_source or api_config_source');
    if (source?.spec.kind === 'ads' && !dynamic.adsConfig) report.refuse(`${at}.${field}.ads`, 'needs dynamic_resources.ads_config, which says where the server is');
    return source;
  };
  const lds = rootSource('lds_config', dynamic.ldsConfig);
  const cds = rootSource('cds_config', dynamic.cdsConfig);
  const ads = dynamic.adsConfig ? compileApiSource(dynamic.adsConfig, `${at}.ads_config`, report) : null;
  for (const [field, locator] of [['lds_resources_locator', dynamic.ldsResourcesLocator], ['cds_resources_locator', dynamic.cdsResourcesLocator]] as const)
    if (locator !== '') report.refuse(`${at}.${field}`, 'xdstp collections are not supported: use lds_config and cds_config');
  return report.errors.length > 0 ? err(report.errors) : ok({ lds, cds, ads, warnings: report.warnings });
}

import type { Result } from '@meltemi/base';
import { parse } from 'yaml';
import type { Config, ObjectMeta } from '../../object.ts';
import { Findings } from '../../rules/findings.ts';
import { isOfKindName } from '../kind.ts';
import type { ConfigMapSpec } from '../kubernetes/config-map/types.ts';
import { meshConfig } from './kind.ts';
import type { MeshConfigSpec } from './types.ts';

/** Istio's mesh without any MeshConfig: every documented default. */
export function defaultMeshConfig(): MeshConfigSpec {
  return meshConfig.schema.missing('', []);
}

/** The YAML text of MeshConfig, as the key `mesh` of the ConfigMap holds it. Paths start with "spec". */
export function readMeshConfig(text: string): { readonly spec: MeshConfigSpec; readonly findings: Findings } {
  const findings = new Findings();
  let input: unknown;
  try {
    input = parse(text, { maxAliasCount: 100, merge: true, logLevel: 'error' });
  } catch (error) {
    findings.error('', `is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const spec = input === undefined || input === null ? defaultMeshConfig() : meshConfig.schema.decode(input, 'spec', findings.errors);
  const about: ObjectMeta = { name: 'default', namespace: '', labels: {}, annotations: {}, creationTimestamp: '' };
  if (findings.errors.length === 0) meshConfig.validate(spec, about, findings);
  return { spec, findings };
}

/** True for the ConfigMaps Istio reads: `istio`, and `istio-REVISION`. */
export function holdsMeshConfig(name: string, data: Readonly<Record<string, string>>): boolean {
  return (name === 'istio' || name.startsWith('istio-')) && data['mesh'] !== undefined;
}

/** MeshConfig out of a decoded ConfigMap; undefined when this ConfigMap is another one. */
export function meshConfigFrom(config: Config): Result<MeshConfigSpec> | undefined {
  if (!isOfKindName(config, { group: '', kind: 'ConfigMap' })) return undefined;
  const { data } = config.spec as ConfigMapSpec;
  if (!holdsMeshConfig(config.key.name, data)) return undefined;
  const { spec, findings } = readMeshConfig(data['mesh'] ?? '');
  return findings.errors.length > 0 ? { ok: false, error: findings.errors } : { ok: true, value: spec };
}

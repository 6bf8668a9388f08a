import type { Result } from '@meltemi/base';
import { parse } from 'yaml';
import type { Config, ObjectMeta } from '../../object.ts';
import { Findings } from '../../rules/findings.ts';
import { isOfKindName, type ConfigKind } from '../kind.ts';
import type { ConfigMapSpec } from '../kubernetes/config-map/types.ts';
import { meshNetworks } from '../mesh-networks/kind.ts';
import type { MeshNetworksSpec } from '../mesh-networks/types.ts';
import { meshConfig } from './kind.ts';
import type { MeshConfigSpec } from './types.ts';

/** Istio's mesh without any MeshConfig: every documented default. */
export function defaultMeshConfig(): MeshConfigSpec {
  return meshConfig.schema.missing('', []);
}

/** The keys of the ConfigMap `istio` that hold YAML of a kind. */
export const meshKeys = [
  { key: 'mesh', kind: meshConfig },
  { key: 'meshNetworks', kind: meshNetworks },
] as const;

/** YAML text of MeshConfig or MeshNetworks, as a key of the ConfigMap holds it; what Istio goes on without is a warning. Paths start with "spec". */
export function readMeshText<Spec>(kind: ConfigKind<Spec>, text: string): { readonly spec: Spec; readonly findings: Findings } {
  const findings = new Findings();
  let input: unknown;
  try {
    input = parse(text, { maxAliasCount: 100, merge: true, logLevel: 'error' });
  } catch (error) {
    findings.error('', `is not YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  const read = input === undefined || input === null ? kind.schema.missing('', []) : kind.schema.decode(input, 'spec', findings.errors);
  const spec = kind.tolerate ? kind.tolerate(read, findings) : read;
  const about: ObjectMeta = { name: 'default', namespace: '', labels: {}, annotations: {}, creationTimestamp: '' };
  if (findings.errors.length === 0) kind.validate(spec, about, findings);
  return { spec, findings };
}

/** True for the names of the ConfigMaps Istio reads: `istio`, and `istio-REVISION`. */
export function isMeshConfigMap(name: string): boolean {
  return name === 'istio' || name.startsWith('istio-');
}

/** MeshConfig out of a decoded ConfigMap; undefined when this ConfigMap has none. */
export function meshConfigFrom(config: Config): Result<MeshConfigSpec> | undefined {
  return meshTextFrom(config, 'mesh', meshConfig);
}

/** MeshNetworks out of a decoded ConfigMap; undefined when this ConfigMap has none. */
export function meshNetworksFrom(config: Config): Result<MeshNetworksSpec> | undefined {
  return meshTextFrom(config, 'meshNetworks', meshNetworks);
}

function meshTextFrom<Spec>(config: Config, key: string, kind: ConfigKind<Spec>): Result<Spec> | undefined {
  if (!isOfKindName(config, { group: '', kind: 'ConfigMap' }) || !isMeshConfigMap(config.key.name)) return undefined;
  const text = (config.spec as ConfigMapSpec).data[key];
  if (text === undefined) return undefined;
  const { spec, findings } = readMeshText(kind, text);
  return findings.errors.length > 0 ? { ok: false, error: findings.errors } : { ok: true, value: spec };
}

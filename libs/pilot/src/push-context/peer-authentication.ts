import { selects, type Config, type MutualTlsMode, type PeerAuthenticationSpec } from '@meltemi/config';
import { byAge } from './virtual-services.ts';

export type MtlsMode = Exclude<MutualTlsMode, 'UNSET'>;

/** Which mutual TLS a workload's ports demand. */
export interface MtlsPolicy {
  readonly mode: MtlsMode;
  /** Port of the workload → mode, where it differs by rule. */
  readonly ports: ReadonlyMap<number, MtlsMode>;
}

/** Policies per namespace, oldest first; the root namespace's speak for the mesh. */
export interface PeerAuthenticationIndex {
  readonly rootNamespace: string;
  readonly byNamespace: ReadonlyMap<string, readonly Config<PeerAuthenticationSpec>[]>;
}

export function indexPeerAuthentications(configs: readonly Config<PeerAuthenticationSpec>[], rootNamespace: string): PeerAuthenticationIndex {
  const byNamespace = new Map<string, Config<PeerAuthenticationSpec>[]>();
  for (const config of configs.toSorted(byAge)) {
    const list = byNamespace.get(config.meta.namespace);
    if (list) list.push(config);
    else byNamespace.set(config.meta.namespace, [config]);
  }
  return { rootNamespace, byNamespace };
}

/**
 * Workload rule over namespace rule over mesh rule; UNSET inherits; PERMISSIVE when nobody says anything. The oldest of several wins. In the root namespace a rule
 * with a selector is for nobody. Source: Istio's ComposePeerAuthentication.
 */
export function mtlsPolicyFor(index: PeerAuthenticationIndex, workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> }): MtlsPolicy {
  const local = index.byNamespace.get(workload.namespace) ?? [];
  const chosen = workload.namespace === index.rootNamespace ? undefined : local.find((config) => hasSelector(config) && selects(config.spec.selector?.matchLabels ?? {}, workload.labels));
  const forNamespace = local.find((config) => !hasSelector(config));
  const forMesh = (index.byNamespace.get(index.rootNamespace) ?? []).find((config) => !hasSelector(config));
  const mode = setMode(chosen) ?? setMode(forNamespace) ?? setMode(forMesh) ?? 'PERMISSIVE';
  const ports = new Map<number, MtlsMode>();
  for (const [port, setting] of Object.entries(chosen?.spec.portLevelMtls ?? {})) ports.set(Number(port), setting.mode === 'UNSET' ? mode : setting.mode);
  return { mode, ports };
}

export function modeForPort(policy: MtlsPolicy, port: number): MtlsMode {
  return policy.ports.get(port) ?? policy.mode;
}

function hasSelector(config: Config<PeerAuthenticationSpec>): boolean {
  return Object.keys(config.spec.selector?.matchLabels ?? {}).length > 0;
}

function setMode(config: Config<PeerAuthenticationSpec> | undefined): MtlsMode | undefined {
  const mode = config?.spec.mtls?.mode;
  return mode === undefined || mode === 'UNSET' ? undefined : mode;
}

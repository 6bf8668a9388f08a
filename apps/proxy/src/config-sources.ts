import type { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { formatFieldErrors } from '@meltemi/base';
import type { Logger } from '@meltemi/observe-edge';
import { StartError } from '@meltemi/observe-edge';
import { compileDynamicResources, type ControlThread, type FollowOptions, type ReadBootstrap } from '@meltemi/proxy-edge';
import type { ProxyOptions } from './options.ts';

export interface BootstrapSourcesOptions {
  readonly node: Node;
  readonly control: ControlThread;
  readonly log: Logger;
  readonly values: ProxyOptions;
}

/** The files and xDS servers a bootstrap names; undefined when all it has is static. Throws StartError for what this proxy cannot follow. */
export async function bootstrapSources({ bootstrap, name }: ReadBootstrap & { readonly name: string }, { node, control, log, values }: BootstrapSourcesOptions): Promise<FollowOptions | undefined> {
  const compiled = compileDynamicResources(bootstrap);
  if (!compiled.ok) throw new StartError(`${name} cannot be used:\n${compiled.error.map((error) => `  ${formatFieldErrors([error])}`).join('\n')}`);
  const { lds, cds, ads, warnings } = compiled.value;
  for (const warning of warnings) log.warn({ field: warning.path, reason: warning.message }, 'setting not acted on');
  if (!lds && !cds && !control.needsSources) return undefined;
  // Loaded here, so that a bootstrap that is all static does without gRPC.
  const { feedOpener } = await import('@meltemi/proxy-edge/sources');
  const open = feedOpener({
    node, ads, log, cluster: (each) => control.cluster(each), secret: (each) => control.secret(each), allowPlaintext: values['allow-plaintext-xds'] === true, filesOnly: values.mode === 'validate',
  });
  return { lds, cds, open };
}

/** Pilot has everything on one stream; the workload's certificate is this program's own affair. */
export function meshSources(open: FollowOptions['open'], onState: (connected: boolean) => void): FollowOptions {
  const ads = { spec: { kind: 'ads' as const }, key: 'ads', initialFetchTimeoutMs: 0 };
  return { lds: ads, cds: ads, open, onState, isOwnSecret: ({ source }) => source.spec.kind === 'api' };
}

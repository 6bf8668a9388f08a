import type { Findings } from '../../rules/findings.ts';
import { checkSelector } from '../../rules/labels.ts';
import { map, object } from '../../schema/containers.ts';
import { int, string } from '../../schema/scalars.ts';
import { optional } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { MatchLabelsSelector, StringMap } from '../types.ts';

/** networking.istio.io ProxyConfig: how proxies start. MeshConfig's message of the same name is another one. */
export interface ProxyConfigSpec {
  readonly selector?: MatchLabelsSelector;
  /** Worker threads; 0: one per core. */
  readonly concurrency?: number;
  /** Variables of the proxy; over those of the mesh. */
  readonly environmentVariables: StringMap;
  readonly image?: { readonly imageType: string };
}

export const proxyConfigKind = istioKind<ProxyConfigSpec>({
  group: 'networking.istio.io',
  kind: 'ProxyConfig',
  plural: 'proxyconfigs',
  versions: ['v1beta1'],
  schema: object<ProxyConfigSpec>({
    selector: optional(matchLabelsSelector),
    concurrency: optional(int('int32', { min: 0 })),
    environmentVariables: map(string({ maxLength: 2048 })),
    image: optional(object<{ readonly imageType: string }>({ imageType: string() })),
  }),
  validate,
});

function validate(spec: ProxyConfigSpec, _about: unknown, findings: Findings): void {
  checkSelector(spec.selector?.matchLabels, 'spec.selector.matchLabels', findings);
}

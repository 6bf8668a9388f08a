import type { ObjectMeta } from '../../../object.ts';
import type { Findings } from '../../../rules/findings.ts';
import { list, object } from '../../../schema/containers.ts';
import { string } from '../../../schema/scalars.ts';
import { item, optional, required } from '../../../schema/schema.ts';
import { gatewayApiKind } from '../group.ts';
import { checkReference } from '../validate-references.ts';

/** gateway.networking.k8s.io ReferenceGrant: who of other namespaces may refer to what of this one. */
export interface ReferenceGrantSpec {
  readonly from: readonly { readonly group: string; readonly kind: string; readonly namespace: string }[];
  /** Without a name: every object of that kind. */
  readonly to: readonly { readonly group: string; readonly kind: string; readonly name?: string }[];
}

const group = required(string({ maxLength: 253 }));
const kind = required(string({ minLength: 1, maxLength: 63 }));

export const referenceGrant = gatewayApiKind<ReferenceGrantSpec>({
  kind: 'ReferenceGrant',
  plural: 'referencegrants',
  shortNames: ['refgrant'],
  versions: ['v1', 'v1beta1', 'v1alpha2'],
  schema: object<ReferenceGrantSpec>({
    from: required(list(object<ReferenceGrantSpec['from'][number]>({ group, kind, namespace: required(string({ minLength: 1, maxLength: 63 })) }), { minItems: 1, maxItems: 16 })),
    to: required(list(object<ReferenceGrantSpec['to'][number]>({ group, kind, name: optional(string({ minLength: 1, maxLength: 253 })) }), { minItems: 1, maxItems: 16 })),
  }),
  validate,
});

function validate(spec: ReferenceGrantSpec, _about: ObjectMeta, findings: Findings): void {
  for (const [i, from] of spec.from.entries()) checkReference(from, item('spec.from', i), findings);
  for (const [i, to] of spec.to.entries()) checkReference({ group: to.group, kind: to.kind }, item('spec.to', i), findings);
}

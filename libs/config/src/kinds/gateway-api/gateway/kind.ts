import { gatewayApiKind } from '../group.ts';
import { patternReason } from '../patterns.ts';
import { checkReference } from '../validate-references.ts';
import { gatewayClassSchema, listenerSetSchema, schema } from './schema.ts';
import type { GatewayClassSpec, KubeGatewaySpec, ListenerSetSpec } from './types.ts';
import { checkListeners, validate } from './validate.ts';

export const kubeGateway = gatewayApiKind<KubeGatewaySpec>({ kind: 'Gateway', plural: 'gateways', shortNames: ['gtw'], versions: ['v1', 'v1beta1', 'v1alpha2'], schema, validate });

export const gatewayClass = gatewayApiKind<GatewayClassSpec>({
  kind: 'GatewayClass',
  plural: 'gatewayclasses',
  shortNames: ['gc'],
  versions: ['v1', 'v1beta1', 'v1alpha2'],
  scope: 'cluster',
  schema: gatewayClassSchema,
  validate: (spec, _about, findings) => findings.check('spec.controllerName', patternReason(spec.controllerName, 'controller')),
});

export const listenerSet = gatewayApiKind<ListenerSetSpec>({
  kind: 'ListenerSet',
  plural: 'listenersets',
  shortNames: ['lset'],
  versions: ['v1'],
  schema: listenerSetSchema,
  validate(spec, _about, findings) {
    checkReference(spec.parentRef, 'spec.parentRef', findings);
    checkListeners(spec.listeners, findings);
  },
});

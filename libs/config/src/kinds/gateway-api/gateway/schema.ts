import { list, object, stringMap } from '../../../schema/containers.ts';
import { int, oneOf, string } from '../../../schema/scalars.ts';
import { optional, required, withDefault } from '../../../schema/schema.ts';
import { labelSelector } from '../../schema.ts';
import { gatewayApiGroup } from '../group.ts';
import { localObjectReference, objectReference, secretReference } from '../references.ts';
import type * as gateway from './types.ts';

const routeKind = object<gateway.RouteGroupKind>({ group: withDefault(string({ maxLength: 253 }), gatewayApiGroup), kind: required(string({ minLength: 1, maxLength: 63 })) });

const namespaces = object<gateway.RouteNamespaces>({ from: oneOf(['Same', 'All', 'Selector', 'None']), selector: optional(labelSelector) });

const listenerTls = object<gateway.ListenerTls>({
  mode: oneOf(['Terminate', 'Passthrough']),
  certificateRefs: list(secretReference, { maxItems: 64 }),
  options: stringMap({ maxKeys: 16 }),
});

const listenerFields = {
  name: required(string({ minLength: 1, maxLength: 253 })),
  hostname: optional(string({ maxLength: 253 })),
  protocol: required(string({ minLength: 1, maxLength: 255 })),
  tls: optional(listenerTls),
  allowedRoutes: optional(object<NonNullable<gateway.GatewayListenerSpec['allowedRoutes']>>({ namespaces: optional(namespaces), kinds: list(routeKind, { maxItems: 8 }) })),
};

const listener = object<gateway.GatewayListenerSpec>({ ...listenerFields, port: required(int('int32', { min: 1, max: 65535 })) });

const frontendTls = object<gateway.FrontendTls>({
  validation: optional(
    object<NonNullable<gateway.FrontendTls['validation']>>({ caCertificateRefs: required(list(objectReference, { minItems: 1, maxItems: 16 })), mode: oneOf(['AllowValidOnly', 'AllowInsecureFallback']) }),
  ),
});

const tls = object<gateway.GatewayTls>({
  backend: optional(object<NonNullable<gateway.GatewayTls['backend']>>({ clientCertificateRef: optional(secretReference) })),
  frontend: optional(
    object<NonNullable<gateway.GatewayTls['frontend']>>({
      default: required(frontendTls),
      perPort: list(object<{ readonly port: number; readonly tls: gateway.FrontendTls }>({ port: required(int('int32', { min: 1, max: 65535 })), tls: required(frontendTls) }), { maxItems: 64 }),
    }),
  ),
});

export const schema = object<gateway.KubeGatewaySpec>({
  gatewayClassName: required(string({ minLength: 1, maxLength: 253 })),
  listeners: required(list(listener, { minItems: 1, maxItems: 64 })),
  addresses: list(object<gateway.GatewayAddress>({ type: withDefault(string({ minLength: 1, maxLength: 253 }), 'IPAddress'), value: string({ maxLength: 253 }) }), { maxItems: 16 }),
  infrastructure: optional(
    object<NonNullable<gateway.KubeGatewaySpec['infrastructure']>>({ labels: stringMap({ maxKeys: 8 }), annotations: stringMap({ maxKeys: 16 }), parametersRef: optional(localObjectReference) }),
  ),
  allowedListeners: optional(object<NonNullable<gateway.KubeGatewaySpec['allowedListeners']>>({ namespaces: optional(namespaces) })),
  tls: optional(tls),
  defaultScope: optional(oneOf(['All', 'None'])),
});

export const gatewayClassSchema = object<gateway.GatewayClassSpec>({
  controllerName: required(string({ minLength: 1, maxLength: 253 })),
  description: string({ maxLength: 64 }),
  parametersRef: optional(objectReference),
});

export const listenerSetSchema = object<gateway.ListenerSetSpec>({
  parentRef: required(
    object<gateway.ListenerSetSpec['parentRef']>({
      group: withDefault(string({ maxLength: 253 }), gatewayApiGroup),
      kind: withDefault(string({ minLength: 1, maxLength: 63 }), 'Gateway'),
      name: required(string({ minLength: 1, maxLength: 253 })),
      namespace: optional(string({ minLength: 1, maxLength: 63 })),
    }),
  ),
  // 0: what the protocol has by default
  listeners: required(list(object<gateway.GatewayListenerSpec>({ ...listenerFields, port: int('int32', { min: 0, max: 65535 }) }), { minItems: 1, maxItems: 64 })),
});

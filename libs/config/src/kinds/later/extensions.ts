import { list, struct } from '../../schema/containers.ts';
import { int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { Struct } from '../types.ts';
import { checkAttachment } from './security.ts';
import { portNumber, shape, targetRef } from './shape.ts';

const trafficMatch = list(shape({ mode: oneOf(['UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER']), ports: list(portNumber) }));

const attachment = { selector: optional(matchLabelsSelector), targetRefs: list(targetRef, { maxItems: 16 }), match: trafficMatch, priority: optional(int('int32')) };

const wasm = {
  url: required(string({ minLength: 1 })),
  sha256: string(),
  imagePullPolicy: oneOf(['UNSPECIFIED_POLICY', 'IfNotPresent', 'Always']),
  imagePullSecret: string({ maxLength: 253 }),
  verificationKey: string(),
  pluginConfig: optional(struct()),
  pluginName: string({ maxLength: 256 }),
  failStrategy: oneOf(['FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD']),
  vmConfig: optional(
    shape({
      env: list(shape({ name: required(string({ minLength: 1, maxLength: 256 })), valueFrom: oneOf(['INLINE', 'HOST']), value: string({ maxLength: 2048 }) }), { maxItems: 256 }),
    }),
  ),
  type: oneOf(['UNSPECIFIED_PLUGIN_TYPE', 'HTTP', 'NETWORK']),
};

export const wasmPlugin = istioKind<Struct>({
  group: 'extensions.istio.io',
  kind: 'WasmPlugin',
  plural: 'wasmplugins',
  versions: ['v1alpha1'],
  acts: 'later',
  schema: shape({ ...attachment, ...wasm, targetRef: optional(targetRef), phase: oneOf(['UNSPECIFIED_PHASE', 'AUTHN', 'AUTHZ', 'STATS']) }),
  validate: (spec, _about, findings) => checkAttachment(spec, findings),
});

export const trafficExtension = istioKind<Struct>({
  group: 'extensions.istio.io',
  kind: 'TrafficExtension',
  plural: 'trafficextensions',
  versions: ['v1alpha1'],
  acts: 'later',
  schema: shape(
    {
      ...attachment,
      phase: oneOf(['UNSPECIFIED', 'AUTHN', 'AUTHZ', 'STATS']),
      wasm: optional(shape(wasm)),
      lua: optional(shape({ inlineCode: required(string({ minLength: 1, maxLength: 65_536 })) })),
    },
    { oneofs: [{ keys: ['wasm', 'lua'], required: true }] },
  ),
  validate: (spec, _about, findings) => checkAttachment(spec, findings),
});

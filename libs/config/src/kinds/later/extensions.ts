import type { Findings } from '../../rules/findings.ts';
import { list, struct } from '../../schema/containers.ts';
import { int, oneOf, string } from '../../schema/scalars.ts';
import { optional, required, withCel } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { Struct } from '../types.ts';
import { checkAttachment, maps } from './security.ts';
import { portNumber, shape, targetRef } from './shape.ts';

const trafficMatch = list(shape({ mode: oneOf(['UNDEFINED', 'CLIENT', 'SERVER', 'CLIENT_AND_SERVER']), ports: list(portNumber, { uniqueBy: 'number' }) }));

const attachment = { selector: optional(matchLabelsSelector), targetRefs: list(targetRef, { maxItems: 16 }), match: trafficMatch, priority: optional(int('int32')) };

const variable = withCel(
  shape({ name: required(string({ minLength: 1, maxLength: 256 })), valueFrom: oneOf(['INLINE', 'HOST']), value: string({ maxLength: 2048 }) }),
  { rule: "!has(self.valueFrom) || self.valueFrom != 'HOST' || !has(self.value)", message: 'valueFrom HOST takes no value' },
);

const wasm = {
  url: required(string({ minLength: 1 })),
  sha256: string({ pattern: { regex: '^$|^[a-f0-9]{64}$', reason: 'must be 64 hexadecimal digits' } }),
  imagePullPolicy: oneOf(['UNSPECIFIED_POLICY', 'IfNotPresent', 'Always']),
  imagePullSecret: string({ minLength: 1, maxLength: 253 }),
  verificationKey: string(),
  pluginConfig: optional(struct()),
  pluginName: string({ minLength: 1, maxLength: 256 }),
  failStrategy: oneOf(['FAIL_CLOSE', 'FAIL_OPEN', 'FAIL_RELOAD']),
  vmConfig: optional(
    shape({
      env: list(variable, { maxItems: 256, uniqueBy: 'name' }),
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
  validate(spec, _about, findings) {
    checkAttachment(spec, findings);
    checkWasm(spec, 'spec', findings);
    if (spec['failStrategy'] === 'FAIL_CLOSE' && (spec['phase'] === 'AUTHN' || spec['phase'] === 'AUTHZ'))
      findings.warn('spec.phase', `unsupported: nothing runs this plugin, and requests pass without its decision (${String(spec['phase'])}, FAIL_CLOSE): Istio would refuse them`);
  },
});

function checkWasm(plugin: Struct, path: string, findings: Findings): void {
  const url = String(plugin['url']);
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(url)?.[1]?.toLowerCase() ?? 'oci';
  if (!['oci', 'http', 'https', 'file'].includes(scheme) || /[\s#%]/.test(url)) findings.error(`${path}.url`, `must be an oci, http, https or file URL, found "${url}"`);
  for (const [i, one] of maps(maps([plugin['vmConfig']])[0]?.['env']).entries()) {
    const at = `${path}.vmConfig.env[${i}]`;
    if (one['valueFrom'] === 'HOST' && one['value'] !== '') findings.error(`${at}.value`, 'cannot be set while valueFrom is HOST');
  }
}

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
  validate(spec, _about, findings) {
    checkAttachment(spec, findings);
    for (const one of maps([spec['wasm']])) checkWasm(one, 'spec.wasm', findings);
  },
});

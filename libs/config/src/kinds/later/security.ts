import type { Findings } from '../../rules/findings.ts';
import { checkSelector } from '../../rules/labels.ts';
import { anything, isMap, list } from '../../schema/containers.ts';
import { bool, duration, string } from '../../schema/scalars.ts';
import { item, optional, required } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { StringMap, Struct } from '../types.ts';
import { shape, targetRef } from './shape.ts';

const jwtRule = shape({
  issuer: string(),
  audiences: list(string({ minLength: 1 })),
  jwksUri: string({ maxLength: 2048 }),
  jwks: string(),
  fromHeaders: list(shape({ name: required(string({ minLength: 1 })), prefix: string() })),
  fromParams: list(string({ minLength: 1 })),
  outputPayloadToHeader: string(),
  fromCookies: list(string({ minLength: 1 })),
  forwardOriginalToken: bool(),
  outputClaimToHeaders: list(shape({ header: required(string({ minLength: 1 })), claim: required(string({ minLength: 1 })) })),
  timeout: optional(duration()),
  spaceDelimitedClaims: list(string({ minLength: 1 }), { maxItems: 64 }),
  /** Newer than the proto our field list was taken from. */
  presence: optional(anything()),
});

export const requestAuthentication = istioKind<Struct>({
  group: 'security.istio.io',
  kind: 'RequestAuthentication',
  plural: 'requestauthentications',
  shortNames: ['ra'],
  versions: ['v1', 'v1beta1'],
  acts: 'later',
  schema: shape({ selector: optional(matchLabelsSelector), targetRef: optional(targetRef), targetRefs: list(targetRef, { maxItems: 16 }), jwtRules: list(jwtRule, { maxItems: 4096 }) }),
  validate(spec, _about, findings) {
    checkAttachment(spec, findings);
    for (const [i, rule] of maps(spec['jwtRules']).entries()) checkJwtRule(rule, item('spec.jwtRules', i), findings);
  },
});

function checkJwtRule(rule: Struct, path: string, findings: Findings): void {
  const { issuer, jwksUri, jwks } = rule;
  if (issuer === '') findings.error(`${path}.issuer`, 'is required');
  if (jwksUri !== '' && jwks !== '') findings.error(`${path}.jwks`, 'cannot be set beside jwksUri');
  if (jwksUri !== '' && !/^https?:\/\/[^/\s\\]+/.test(String(jwksUri))) findings.error(`${path}.jwksUri`, `must be an http or https URL, found "${String(jwksUri)}"`);
  for (const [i, claim] of maps(rule['outputClaimToHeaders']).entries())
    if (!/^[-_A-Za-z0-9]+$/.test(String(claim['header']))) findings.error(`${item(`${path}.outputClaimToHeaders`, i)}.header`, `"${String(claim['header'])}" is not a header name`);
}

/** The maps of a list that a schema has checked already. */
export function maps(value: unknown): readonly Struct[] {
  return Array.isArray(value) ? value.filter(isMap) : [];
}

/** At most one way of saying what a policy attaches to. */
export function checkAttachment(spec: Struct, findings: Findings): void {
  const selector = spec['selector'];
  if (isMap(selector) && isMap(selector['matchLabels'])) checkSelector(selector['matchLabels'] as StringMap, 'spec.selector.matchLabels', findings);
  const refs = Array.isArray(spec['targetRefs']) && spec['targetRefs'].length > 0;
  const set = [spec['selector'] !== undefined, spec['targetRef'] !== undefined, refs].filter(Boolean).length;
  if (set > 1) findings.error('spec', 'only one of selector, targetRef and targetRefs may be set');
}

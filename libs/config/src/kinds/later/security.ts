import type { Findings } from '../../rules/findings.ts';
import { list, strings } from '../../schema/containers.ts';
import { bool, duration, string } from '../../schema/scalars.ts';
import { optional, required } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { matchLabelsSelector } from '../schema.ts';
import type { Struct } from '../types.ts';
import { shape, targetRef } from './shape.ts';

const jwtRule = shape({
  issuer: string(),
  audiences: strings(),
  jwksUri: string({ maxLength: 2048 }),
  jwks: string(),
  fromHeaders: list(shape({ name: required(string({ minLength: 1 })), prefix: string() })),
  fromParams: strings(),
  outputPayloadToHeader: string(),
  fromCookies: strings(),
  forwardOriginalToken: bool(),
  outputClaimToHeaders: list(shape({ header: required(string({ minLength: 1 })), claim: required(string({ minLength: 1 })) })),
  timeout: optional(duration()),
  spaceDelimitedClaims: strings({ maxItems: 64 }),
  presence: string(),
});

export const requestAuthentication = istioKind<Struct>({
  group: 'security.istio.io',
  kind: 'RequestAuthentication',
  plural: 'requestauthentications',
  shortNames: ['ra'],
  versions: ['v1', 'v1beta1'],
  acts: 'later',
  schema: shape({ selector: optional(matchLabelsSelector), targetRef: optional(targetRef), targetRefs: list(targetRef, { maxItems: 16 }), jwtRules: list(jwtRule, { maxItems: 4096 }) }),
  validate: (spec, _about, findings) => checkAttachment(spec, findings),
});

/** At most one way of saying what a policy attaches to. */
export function checkAttachment(spec: Struct, findings: Findings): void {
  const refs = Array.isArray(spec['targetRefs']) && spec['targetRefs'].length > 0;
  const set = [spec['selector'] !== undefined, spec['targetRef'] !== undefined, refs].filter(Boolean).length;
  if (set > 1) findings.error('spec', 'only one of selector, targetRef and targetRefs may be set');
}

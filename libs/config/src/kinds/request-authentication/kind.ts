import { list, object } from '../../schema/containers.ts';
import { bool, oneOf, someTime, string } from '../../schema/scalars.ts';
import { optional, required, withCel } from '../../schema/schema.ts';
import { istioKind } from '../kind.ts';
import { atMostOne } from '../schema.ts';
import { targetFields } from '../targeted-policy.ts';
import type { ClaimToHeader, JwtHeader, JwtRule, RequestAuthenticationSpec } from './types.ts';
import { validate } from './validate.ts';

const words = (limits: { readonly maxItems?: number } = {}) => list(string({ minLength: 1 }), limits);

const jwtRule = withCel(object<JwtRule>({
  issuer: string({ minLength: 1 }),
  audiences: words(),
  jwksUri: withCel(string({ minLength: 1, maxLength: 2048 }), { rule: "self.startsWith('http://') || self.startsWith('https://')", message: 'must be an http or https URL' }),
  presence: oneOf(['OPTIONAL', 'REQUIRED']),
  jwks: string(),
  fromHeaders: list(object<JwtHeader>({ name: required(string({ minLength: 1 })), prefix: string() })),
  fromParams: words(),
  fromCookies: words(),
  outputPayloadToHeader: string(),
  forwardOriginalToken: bool(),
  outputClaimToHeaders: list(object<ClaimToHeader>({ header: required(string({ minLength: 1, pattern: { regex: '^[-_A-Za-z0-9]+$', reason: 'is not a header name' } })), claim: required(string({ minLength: 1 })) })),
  timeout: optional(someTime()),
  spaceDelimitedClaims: words({ maxItems: 64 }),
}), atMostOne('jwksUri', 'jwks'));

export const requestAuthentication = istioKind<RequestAuthenticationSpec>({
  group: 'security.istio.io',
  kind: 'RequestAuthentication',
  plural: 'requestauthentications',
  shortNames: ['ra'],
  versions: ['v1', 'v1beta1'],
  acts: 'full',
  schema: object<RequestAuthenticationSpec>({ ...targetFields, jwtRules: list(jwtRule, { maxItems: 4096 }) }),
  validate,
});

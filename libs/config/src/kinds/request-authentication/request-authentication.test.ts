import { table } from '../../testing/verdict.ts';
import { requestAuthentication } from './kind.ts';

table(requestAuthentication, {
  good: [
    ['any issuer whose keys are named', '{jwtRules: [{jwksUri: "http://keys.auth.svc.cluster.local:8080/jwks"}]}'],
    ['every field', '{selector: {matchLabels: {app: a}}, jwtRules: [{issuer: a, audiences: [b], jwks: "{\\"keys\\": [{\\"kty\\": \\"RSA\\", \\"n\\": \\"AQ\\", \\"e\\": \\"AQAB\\"}]}", fromHeaders: [{name: x, prefix: "p "}], fromParams: [t], fromCookies: [c], outputPayloadToHeader: y, outputClaimToHeaders: [{header: z, claim: a.b}], spaceDelimitedClaims: [roles], timeout: 5s}]}'],
    ['an issuer', '{jwtRules: [{issuer: a, jwksUri: "https://a/jwks", forwardOriginalToken: true, timeout: 5s}]}'],
  ],
  bad: [
    ['neither issuer nor jwksUri', '{jwtRules: [{}]}', 'spec.jwtRules[0].issuer', /required/],
    ['keys twice', '{jwtRules: [{issuer: a, jwksUri: "https://a/jwks", jwks: "{}"}]}', 'spec.jwtRules[0].jwks', /beside/],
    ['keys that are no JSON', '{jwtRules: [{issuer: a, jwks: "hello"}]}', 'spec.jwtRules[0].jwks', /JSON key set/],
    ['a key of an unknown type', '{jwtRules: [{issuer: a, jwks: "{\\"keys\\": [{\\"kty\\": \\"XYZ\\"}]}"}]}', 'spec.jwtRules[0].jwks.keys[0].kty', /RSA/],
    ['a header name with a blank', '{jwtRules: [{issuer: a, outputClaimToHeaders: [{header: "a b", claim: c}]}]}', 'spec.jwtRules[0].outputClaimToHeaders[0].header', /header name/],
    ['no time at all', '{jwtRules: [{issuer: a, timeout: 0s}]}', 'spec.jwtRules[0].timeout', /1ms/],
    ['a target that takes no policies', '{targetRef: {kind: Pod, name: a}}', 'spec.targetRef.kind', /cannot be a target/],
    ['a header without name', '{jwtRules: [{fromHeaders: [{prefix: "Bearer "}]}]}', 'spec.jwtRules[0].fromHeaders[0].name', /required/],
    ['a URI that is none', '{jwtRules: [{issuer: a, jwksUri: "ftp://a"}]}', 'spec.jwtRules[0].jwksUri', /https/],
    ['an empty audience', '{jwtRules: [{issuer: a, audiences: [""]}]}', 'spec.jwtRules[0].audiences[0]', /empty/],
    ['a wildcard selector', '{selector: {matchLabels: {a: "*"}}}', 'spec.selector.matchLabels.a', /wildcards/],
  ],
  warns: [['a private key', '{jwtRules: [{issuer: a, jwks: "{\\"keys\\": [{\\"kty\\": \\"oct\\", \\"k\\": \\"AQ\\"}]}"}]}', 'spec.jwtRules[0].jwks.keys[0]', /private/]],
});

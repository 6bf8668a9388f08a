export { parseJwt, decodeBase64Url, maxTokenLength, type Jwt, type JsonObject } from './jwt.ts';
export { KeySet, maxKeySetBytes } from './key-set.ts';
export { Audiences } from './audiences.ts';
export { jwtStatus, type JwtStatus } from './status.ts';
export { isAlgorithm, type Algorithm } from './algorithms.ts';
export { signJwtSvid, verifyJwtSvid, type JwtSvidClaims, type JwtSvidExpectation, type VerifiedJwtSvid } from './jwt-svid.ts';
export { formatJwtAuthorities, jwtAuthoritiesOf, jwtAuthority, parseJwtAuthorities, type JwtAuthority } from './jwt-authorities.ts';

/** Why a token is not accepted: Envoy's text, and its number for failed_status_in_metadata. */
export interface JwtStatus {
  readonly code: number;
  readonly text: string;
}

const status = (code: number, text: string): JwtStatus => ({ code, text });

/** Texts as clients of Envoy know them. */
export const jwtStatus = {
  missing: status(1, 'Jwt is missing'),
  notYetValid: status(2, 'Jwt not yet valid'),
  expired: status(3, 'Jwt is expired'),
  badFormat: status(4, 'Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections'),
  headerBadBase64: status(5, 'Jwt header is an invalid Base64url encoded'),
  headerBadJson: status(6, 'Jwt header is an invalid JSON'),
  badAlgorithm: status(7, 'Jwt header [alg] field is required and must be a string'),
  unknownAlgorithm: status(8, 'Jwt header [alg] is not supported'),
  badKeyId: status(9, 'Jwt header [kid] field is not a string'),
  payloadBadBase64: status(10, 'Jwt payload is an invalid Base64url encoded'),
  payloadBadJson: status(11, 'Jwt payload is an invalid JSON'),
  issuerNoString: status(12, 'Jwt payload [iss] field is not a string'),
  subjectNoString: status(13, 'Jwt payload [sub] field is not a string'),
  issuedNoInteger: status(14, 'Jwt payload [iat] field is not an integer'),
  issuedNotPositive: status(15, 'Jwt payload [iat] field is not a positive integer'),
  notBeforeNoInteger: status(16, 'Jwt payload [nbf] field is not an integer'),
  notBeforeNotPositive: status(17, 'Jwt payload [nbf] field is not a positive integer'),
  expiryNoInteger: status(18, 'Jwt payload [exp] field is not an integer'),
  expiryNotPositive: status(19, 'Jwt payload [exp] field is not a positive integer'),
  tokenIdNoString: status(20, 'Jwt payload [jti] field is not a string'),
  audienceNoString: status(21, 'Jwt payload [aud] field is not a string or string list'),
  signatureBadBase64: status(22, 'Jwt signature is an invalid Base64url encoded'),
  unknownIssuer: status(24, 'Jwt issuer is not configured'),
  audienceNotAllowed: status(25, 'Audiences in Jwt are not allowed'),
  verificationFails: status(26, 'Jwt verification fails'),
  keysBadJson: status(28, 'Jwks is an invalid JSON'),
  noKeys: status(29, 'Jwks does not have [keys] field'),
  badKeys: status(30, '[keys] in Jwks is not an array'),
  noValidKey: status(31, "Jwks doesn't have any valid public key"),
  noKeyMatches: status(32, "Jwks doesn't have key to match kid or alg from Jwt"),
  criticalHeader: status(8, 'Jwt header [crit] names extensions that are not supported'),
  fetchFails: status(40, 'Jwks remote fetch is failed'),
} as const;

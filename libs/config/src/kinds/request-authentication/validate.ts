import type { ObjectMeta } from '../../object.ts';
import { durationReason } from '../../rules/durations.ts';
import type { Findings } from '../../rules/findings.ts';
import { isMap } from '../../schema/containers.ts';
import { item } from '../../schema/schema.ts';
import { checkTargets } from '../targeted-policy.ts';
import type { JwtRule, RequestAuthenticationSpec } from './types.ts';

/** Source: istio.io/istio pkg/config/validation (webhook) and its CRD, read for their rules; the messages are ours. */
export function validate(spec: RequestAuthenticationSpec, _about: ObjectMeta, findings: Findings): void {
  checkTargets(spec, findings);
  for (const [i, rule] of spec.jwtRules.entries()) checkRule(rule, item('spec.jwtRules', i), findings);
}

function checkRule(rule: JwtRule, path: string, findings: Findings): void {
  const { issuer, jwksUri, jwks } = rule;
  if (issuer === '' && jwksUri === '') findings.error(`${path}.issuer`, 'is required: without it jwksUri must say where the keys are');
  if (jwksUri !== '' && jwks !== '') findings.error(`${path}.jwks`, 'cannot be set beside jwksUri');
  if (jwksUri !== '' && !isHttpUrl(jwksUri)) findings.error(`${path}.jwksUri`, `must be an http or https URL, found "${jwksUri}"`);
  if (jwks !== '') checkKeys(jwks, `${path}.jwks`, findings);
  for (const [i, { header }] of rule.outputClaimToHeaders.entries())
    if (!/^[-_A-Za-z0-9]+$/.test(header)) findings.error(`${item(`${path}.outputClaimToHeaders`, i)}.header`, `"${header}" is not a header name`);
  if (rule.timeout !== undefined) findings.check(`${path}.timeout`, durationReason(rule.timeout));
}

function isHttpUrl(text: string): boolean {
  if (!/^https?:\/\//i.test(text)) return false;
  try {
    return new URL(text).hostname !== '';
  } catch {
    return false;
  }
}

const keyTypes = ['RSA', 'EC', 'OKP', 'oct'];

/** A key set, or (as Istio takes) one key alone. */
function checkKeys(text: string, path: string, findings: Findings): void {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return findings.error(path, 'must be a JSON key set, like {"keys": [{"kty": "RSA", …}]}');
  }
  const keys = isMap(value) ? (value['keys'] ?? [value]) : undefined;
  if (!Array.isArray(keys)) return findings.error(path, 'must be a JSON key set: an object with a list "keys"');
  for (const [i, key] of keys.entries()) {
    const type = isMap(key) ? key['kty'] : undefined;
    if (typeof type !== 'string' || !keyTypes.includes(type)) findings.error(`${path}.keys[${i}].kty`, `must be one of ${keyTypes.join(', ')}`);
    else if (isMap(key) && (key['d'] !== undefined || key['k'] !== undefined)) findings.warn(`${path}.keys[${i}]`, 'holds a private key: only the public part is needed');
  }
  return undefined;
}

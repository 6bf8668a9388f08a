import { err, fail, ok, type FieldError, type Result } from '@meltemi/base';
import { KeySet } from '@meltemi/identity/jwt';
import { parseIdentityRule, type IdentityRule } from './identity-rules.ts';

/** An issuer whose tokens are believed. */
export interface OidcIssuer {
  /** `iss` of its tokens, letter by letter. */
  readonly issuer: string;
  /** `aud` must hold one of them. */
  readonly audiences: readonly string[];
  /** Keys that are written down; undefined: they are fetched. */
  readonly keys: KeySet | undefined;
  /** Where they are fetched; "": where the issuer's OpenID configuration says. */
  readonly jwksUri: string;
  /** Tokens that were made for longer are refused. */
  readonly maxLifetimeMs: number;
  readonly identities: readonly IdentityRule[];
}

const maxIssuers = 100;
const maxRules = 1000;
const hourMs = 3_600_000;
const longestMs = 24 * hourMs;
const fields = ['issuer', 'audiences', 'jwks', 'jwksUri', 'maxLifetimeSeconds', 'identities'];

/** Reads the text of an issuers file: JSON `{"issuers": […]}`. Every error has its path. */
export function parseOidcIssuers(text: string): Result<OidcIssuer[]> {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    return fail('', `is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
  const issuers = isObject(document) ? document['issuers'] : undefined;
  if (!Array.isArray(issuers) || issuers.length === 0 || issuers.length > maxIssuers) return fail('issuers', `must be a list of 1 to ${maxIssuers} issuers`);
  const parsed = issuers.map((value: unknown, index) => parseIssuer(value, `issuers[${index}]`));
  const errors = parsed.flatMap((each) => (each.ok ? [] : each.error));
  if (errors.length > 0) return err(errors);
  const good = parsed.flatMap((each) => (each.ok ? [each.value] : []));
  const twice = good.find(({ issuer }, index) => good.findIndex((other) => other.issuer === issuer) !== index);
  return twice ? fail('issuers', `${twice.issuer} is there twice: put its rules into one`) : ok(good);
}

function parseIssuer(value: unknown, path: string): Result<OidcIssuer> {
  if (!isObject(value)) return fail(path, 'must be an object');
  const errors: FieldError[] = Object.keys(value).filter((key) => !fields.includes(key)).map((key) => ({ path: `${path}.${key}`, message: 'is unknown here' }));
  const { issuer, audiences, jwks, jwksUri = '', maxLifetimeSeconds = hourMs / 1000, identities } = value;
  const wrong = (field: string, message: string): void => void errors.push({ path: `${path}.${field}`, message });
  if (typeof issuer !== 'string' || issuer === '') wrong('issuer', "is required: the tokens' iss, letter by letter");
  if (!Array.isArray(audiences) || audiences.length === 0 || !audiences.every((audience) => typeof audience === 'string' && audience !== '')) wrong('audiences', 'is required: a list of at least one; a token made for somebody else must not open this door');
  if (typeof jwksUri !== 'string' || (jwksUri !== '' && !isSafeUrl(jwksUri))) wrong('jwksUri', 'must be an https URL (http on this machine)');
  if (jwks === undefined && jwksUri === '' && !(typeof issuer === 'string' && isSafeUrl(issuer))) wrong('issuer', 'must be an https URL (http on this machine) when neither jwks nor jwksUri is there: the keys are looked for below it');
  if (jwks !== undefined && jwksUri !== '') wrong('jwks', 'and jwksUri exclude each other');
  if (typeof maxLifetimeSeconds !== 'number' || !(maxLifetimeSeconds >= 1 && maxLifetimeSeconds * 1000 <= longestMs)) wrong('maxLifetimeSeconds', `must be 1 to ${longestMs / 1000}`);
  const keys = jwks === undefined ? undefined : KeySet.parse(typeof jwks === 'string' ? jwks : JSON.stringify(jwks));
  if (keys && !keys.ok) wrong('jwks', keys.error.text);
  const rules = parseRules(identities, `${path}.identities`);
  if (!rules.ok) errors.push(...rules.error);
  if (errors.length > 0 || !rules.ok) return err(errors);
  return ok({ issuer: String(issuer), audiences: audiences as string[], keys: keys?.ok ? keys.value : undefined, jwksUri: String(jwksUri), maxLifetimeMs: Number(maxLifetimeSeconds) * 1000, identities: rules.value });
}

function parseRules(value: unknown, path: string): Result<IdentityRule[]> {
  if (!Array.isArray(value) || value.length === 0 || value.length > maxRules) return fail(path, `is required: a list of 1 to ${maxRules} rules`);
  const rules = value.map((rule: unknown, index) => ({ index, rule: parseIdentityRule(rule) }));
  const errors = rules.flatMap(({ index, rule }) => (rule.ok ? [] : rule.error.map((each) => ({ path: `${path}[${index}]${each.path === '' ? '' : `.${each.path}`}`, message: each.message }))));
  return errors.length > 0 ? err(errors) : ok(rules.flatMap(({ rule }) => (rule.ok ? [rule.value] : [])));
}

/** Keys decide who may be whom: they come over TLS, or from this machine. */
export function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

import { ok, type Result } from '@meltemi/base';
import { decodeBase64Url, KeySet, parseJwt, type Jwt } from '@meltemi/identity/jwt';
import { refuse, type CitadelError } from '../errors.ts';
import { isJwtShaped } from './authenticate.ts';
import type { Caller, TokenCallers } from './caller.ts';
import { identitiesOf } from './identity-rules.ts';
import type { OidcIssuer } from './oidc-issuers.ts';

export interface OidcCallersOptions {
  readonly trustDomain: string;
  /** Those of now: a file of issuers may be replaced. */
  readonly issuers: () => readonly OidcIssuer[];
  /** The key set of an issuer as it was fetched last, JSON; undefined: not yet. The same string as long as it is the same. */
  readonly fetchedKeys: (issuer: OidcIssuer) => string | undefined;
}

const maxTokenChars = 16_384;
/** A rule that gives more is a mistake. */
const maxIdentities = 16;
/** Clocks of issuers may be this far from ours; Envoy's default. */
const skewMs = 60_000;

/**
 * Callers with a token of an OpenID issuer. The token must be short-lived and for us, and exactly the identities that the issuer's rules make of its
 * claims can be asked for. A token is no join token: until its end it can be shown again, by whoever holds it.
 */
export class OidcCallers implements TokenCallers {
  readonly how = 'OIDC token';
  readonly #options: OidcCallersOptions;
  readonly #parsed = new Map<string, { readonly text: string; readonly keys: KeySet | undefined }>();

  constructor(options: OidcCallersOptions) {
    this.#options = options;
  }

  recognizes(token: string): boolean {
    return this.#issuerOf(token) !== undefined;
  }

  async authenticate(token: string, now: number): Promise<Result<Caller, CitadelError>> {
    const issuer = this.#issuerOf(token);
    const jwt = parseJwt(token);
    // One text for all that can be wrong before the signature is known to be good.
    if (!issuer || !jwt.ok) return refused('it cannot be read', jwt.ok ? '' : jwt.error.text);
    const keys = this.#keysOf(issuer);
    if (!keys) return refuse('authentication', 'unavailable', "the issuer's keys are not known yet; try again");
    const unsigned = keys.verify(jwt.value);
    if (unsigned) return refused("its signature is not of one of the issuer's keys", unsigned.text);
    const wrong = unfit(jwt.value, issuer, now);
    if (wrong !== undefined) return refused(wrong);
    const [first, ...more] = identitiesOf(issuer.identities, jwt.value.payload, this.#options.trustDomain);
    const subject = `${jwt.value.issuer} ${jwt.value.subject}`.slice(0, 500);
    if (!first) return refuse('authentication', 'denied', 'the token is good, but gives its holder no identity here', `no rule matches the claims of ${subject}`);
    if (more.length >= maxIdentities) return refuse('authentication', 'denied', `the token is good, but gives its holder more than ${maxIdentities} identities`, subject);
    return ok({ ids: [first, ...more], how: this.how, subject, settle: async () => ok(undefined) });
  }

  /** By the claim alone, before anything is verified; null-safe and cheap. */
  #issuerOf(token: string): OidcIssuer | undefined {
    if (token.length > maxTokenChars || !isJwtShaped(token)) return undefined;
    try {
      const payload = JSON.parse(decodeBase64Url(token.split('.')[1] ?? '')?.toString('utf8') ?? '') as { readonly iss?: unknown } | null;
      return this.#options.issuers().find(({ issuer }) => issuer === payload?.iss);
    } catch {
      return undefined;
    }
  }

  #keysOf(issuer: OidcIssuer): KeySet | undefined {
    if (issuer.keys) return issuer.keys;
    const text = this.#options.fetchedKeys(issuer);
    if (text === undefined) return undefined;
    const known = this.#parsed.get(issuer.issuer);
    if (known?.text === text) return known.keys;
    const parsed = KeySet.parse(text);
    const keys = parsed.ok ? parsed.value : undefined;
    this.#parsed.set(issuer.issuer, { text, keys });
    return keys;
  }
}

function refused(message: string, detail?: string): ReturnType<typeof refuse> {
  return refuse('authentication', 'unauthenticated', `the token is not accepted: ${message}`, detail);
}

/** Why a token whose signature is good is not taken; undefined when it is. */
function unfit({ audiences, expires, notBefore, payload }: Jwt, issuer: OidcIssuer, now: number): string | undefined {
  // Letter by letter, unlike Envoy's: nobody's `https://a/` is taken for `a`.
  if (!audiences.some((audience) => issuer.audiences.includes(audience))) return `its audience (aud) must be ${issuer.audiences.join(' or ')}`;
  if (expires === null) return 'it never expires (exp is missing)';
  if (expires * 1000 + skewMs <= now) return `it expired at ${new Date(expires * 1000).toISOString()}`;
  if (notBefore * 1000 - skewMs > now) return `it is not valid before ${new Date(notBefore * 1000).toISOString()}`;
  const issued = payload['iat'];
  const from = typeof issued === 'number' ? issued : notBefore;
  if (from === 0) return 'it does not say since when it is valid (iat or nbf)';
  if (from * 1000 - skewMs > now) return `it was issued in the future, at ${new Date(from * 1000).toISOString()}`;
  if ((expires - from) * 1000 > issuer.maxLifetimeMs) return `it was made for ${Math.round(expires - from)} s; tokens for longer than ${issuer.maxLifetimeMs / 1000} s are not taken`;
  return undefined;
}

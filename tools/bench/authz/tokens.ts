import { Issuer, keySetOf } from '@meltemi/identity/jwt/testing';
import { filterJson } from '@meltemi/proxy/testing';
import { spread, spreadText, table } from '../statistics.ts';
import { InMemory } from './in-memory.ts';
import { measured } from './rounds.ts';

export interface TokenResult {
  readonly name: string;
  /** CPU microseconds that the token costs its request, one number per round. */
  readonly micros: readonly number[];
}

const algorithms = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'];
const asked = { path: '/shop', host: 'shop.example', principal: 'spiffe://cluster.local/ns/shop/sa/web' };
const callers = 200;

/** What tokens cost: a request with one, less the same request through a proxy without the filter. Remembered ones are 200 in turn. */
export function measureTokens({ rounds, milliseconds }: { readonly rounds: number; readonly milliseconds: number }): TokenResult[] {
  const cases = algorithms.flatMap((algorithm) => {
    const issuer = new Issuer(algorithm);
    const fields = Array.from({ length: callers }, (_, i) => [`authorization: Bearer ${issuer.token({ iss: 'idp', sub: `user ${i}`, aud: 'shop', exp: 4_102_444_800, groups: ['dev', 'ops'], realm: { roles: ['admin'] } })}`]);
    const of = (name: string, filters: Record<string, unknown>[]) => ({ name, through: new InMemory(filters, fields.map((field) => ({ asked, fields: field }))) });
    const filter = (size: number) => [filterJson('envoy.filters.http.jwt_authn', 'envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication', config(issuer, size))];
    return [of(`${algorithm} without`, []), of(`${algorithm} remembered`, filter(1_000)), of(`${algorithm} verified each time`, filter(0))];
  });
  const results = measured(cases.map(({ name, through }) => ({ name, per: through.requests, run: () => through.round() })), { rounds, milliseconds });
  return algorithms.flatMap((algorithm) => ['remembered', 'verified each time'].map((how) => {
    const without = results.get(`${algorithm} without`) ?? [];
    return { name: `${algorithm}, ${how}`, micros: (results.get(`${algorithm} ${how}`) ?? []).map((nanos, round) => (nanos - (without[round] ?? 0)) / 1000) };
  }));
}

/** As pilot writes it. */
function config(issuer: Issuer, remembered: number): Record<string, unknown> {
  const provider = { issuer: 'idp', audiences: ['shop'], localJwks: { inlineString: keySetOf(issuer) }, payloadInMetadata: 'payload', normalizePayloadInMetadata: { spaceDelimitedClaims: ['scope', 'permission'] }, forward: true };
  const requires = { requiresAny: { requirements: [{ providerName: 'origins-0' }, { allowMissing: {} }] } };
  return { providers: { 'origins-0': { ...provider, ...(remembered > 0 ? { jwtCacheConfig: { jwtCacheSize: remembered } } : {}) } }, rules: [{ match: { prefix: '/' }, requires }] };
}

export function tokenTable(results: readonly TokenResult[]): string {
  return table([['a token', 'µs'], ...results.map(({ name, micros }) => [name, spreadText(spread(micros), 1)])]);
}

import type { DataSource } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { JwtProvider, RemoteJwks } from '@meltemi/api/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts';
import { err, ok, type FieldError, type Result } from '@meltemi/base';
import { Audiences, KeySet, jwtStatus } from '@meltemi/identity/jwt';
import { compileStringMatcher, type StringMatch } from '@meltemi/match';
import { durationMs } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { splitHttpUri } from '../../../http/http-uri.ts';
import { defaultLocations, type TokenLocations } from './locations.ts';
import type { RemoteKeysConfig } from './remote-keys.ts';

/** One issuer of tokens, compiled. */
export interface Provider {
  readonly name: string;
  /** "" takes every issuer. */
  readonly issuer: string;
  readonly audiences: Audiences;
  readonly subjects: StringMatch | null;
  /** Longest time a token may have left, Infinity for any; null = also tokens that never expire. */
  readonly maxLifetimeSeconds: number | null;
  readonly keys: KeySet | RemoteKeysConfig;
  readonly forward: boolean;
  readonly locations: TokenLocations;
  /** "" = none */
  readonly payloadHeader: string;
  readonly padPayload: boolean;
  readonly payloadKey: string;
  readonly headerKey: string;
  readonly failureKey: string;
  readonly spaceDelimited: readonly string[];
  readonly clockSkewSeconds: number;
  /** Verified tokens remembered; 0 = none. */
  readonly cacheSize: number;
  readonly claimHeaders: readonly { readonly header: string; readonly claim: readonly string[] }[];
  readonly clearRoute: boolean;
}

/** As in Envoy. */
const defaultClockSkewSeconds = 60;
const defaultCacheSize = 100;
const defaultCacheMs = 5 * 60_000;
const defaultFailedRefetchMs = 1_000;

type Context = Pick<ParseContext, 'path' | 'warn' | 'extensions'>;

/** Compiles a provider. Every field of the message is acted on. */
export function compileProvider(name: string, message: JwtProvider, ctx: Context): Result<Provider> {
  const errors: FieldError[] = [];
  const keys = compileKeys(message, ctx);
  if (!keys.ok) errors.push(...keys.error);
  const subjects = message.subjects === undefined ? ok(null) : compileStringMatcher(message.subjects, `${ctx.path}.subjects`);
  if (!subjects.ok) errors.push(...subjects.error);
  for (const [i, { name: header }] of message.fromHeaders.entries()) if (header === '') errors.push({ path: `${ctx.path}.from_headers[${i}].name`, message: 'is required' });
  for (const [i, { headerName, claimName }] of message.claimToHeaders.entries())
    if (headerName === '' || claimName === '') errors.push({ path: `${ctx.path}.claim_to_headers[${i}]`, message: 'needs header_name and claim_name' });
  if (errors.length > 0 || !keys.ok || !subjects.ok) return err(errors);
  return ok({
    name, issuer: message.issuer, audiences: new Audiences(message.audiences), subjects: subjects.value, keys: keys.value,
    maxLifetimeSeconds: message.maxLifetime !== undefined ? durationMs(message.maxLifetime, 0) / 1000 : message.requireExpiration ? Infinity : null,
    forward: message.forward, locations: locationsOf(message),
    payloadHeader: message.forwardPayloadHeader.toLowerCase(), padPayload: message.padForwardPayloadHeader,
    payloadKey: message.payloadInMetadata, headerKey: message.headerInMetadata, failureKey: message.failedStatusInMetadata,
    spaceDelimited: message.normalizePayloadInMetadata?.spaceDelimitedClaims ?? [],
    clockSkewSeconds: message.clockSkewSeconds || defaultClockSkewSeconds,
    cacheSize: message.jwtCacheConfig === undefined ? 0 : message.jwtCacheConfig.jwtCacheSize || defaultCacheSize,
    claimHeaders: message.claimToHeaders.map(({ headerName, claimName }) => ({ header: headerName.toLowerCase(), claim: claimName.split('.') })),
    clearRoute: message.clearRouteCache,
  });
}

function locationsOf({ fromHeaders, fromParams, fromCookies }: JwtProvider): TokenLocations {
  if (fromHeaders.length + fromParams.length + fromCookies.length === 0) return defaultLocations;
  return { headers: fromHeaders.map(({ name, valuePrefix }) => ({ name: name.toLowerCase(), prefix: valuePrefix })), params: fromParams, cookies: fromCookies };
}

function compileKeys({ jwksSourceSpecifier: source }: JwtProvider, ctx: Context): Result<KeySet | RemoteKeysConfig> {
  switch (source?.$case) {
    case 'localJwks':
      return localKeys(source.value, { ...ctx, path: `${ctx.path}.local_jwks` });
    case 'remoteJwks':
      return remoteKeys(source.value, { ...ctx, path: `${ctx.path}.remote_jwks` });
    case undefined:
      return err([{ path: ctx.path, message: 'needs local_jwks or remote_jwks: without keys no token can be verified' }]);
  }
}

/** Inline keys that cannot be used refuse their issuer's tokens and nothing else, as in Envoy: a control plane writes what others publish. */
function localKeys({ specifier, watchedDirectory }: DataSource, { path, warn, extensions }: Context): Result<KeySet> {
  if (watchedDirectory !== undefined) return err([{ path: `${path}.watched_directory`, message: 'key files are read once: use remote_jwks for keys that change' }]);
  if (specifier?.$case === 'inlineString' || specifier?.$case === 'inlineBytes') return inlineKeys(specifier.value.toString(), path, warn);
  if (specifier?.$case !== 'filename') return err([{ path, message: 'needs inline_string, inline_bytes or filename' }]);
  const read = extensions.readFile?.(specifier.value) ?? err('this program reads no files for configs');
  return read.ok ? parsedKeys(Buffer.from(read.value).toString(), `${path}.filename`) : err([{ path: `${path}.filename`, message: read.error }]);
}

function inlineKeys(text: string, path: string, warn: Context['warn']): Result<KeySet> {
  const keys = KeySet.parse(text);
  if (!keys.ok) warn(path, `${keys.error.text}: all tokens of this issuer are refused`);
  return ok(keys.ok ? keys.value : KeySet.none(keys.error));
}

function parsedKeys(text: string, path: string): Result<KeySet> {
  const keys = KeySet.parse(text);
  if (keys.ok) return keys;
  const hint = keys.error === jwtStatus.noValidKey ? ' (RSA from 2048 bits, EC P-256, P-384 or P-521, Ed25519)' : '';
  return err([{ path, message: `${keys.error.text}${hint}` }]);
}

function remoteKeys({ httpUri, cacheDuration, asyncFetch, retryPolicy }: RemoteJwks, { path, warn }: Context): Result<RemoteKeysConfig> {
  const cluster = httpUri?.httpUpstreamType?.value ?? '';
  const target = splitHttpUri(httpUri?.uri ?? '');
  const errors: FieldError[] = [];
  if (target === null) errors.push({ path: `${path}.http_uri.uri`, message: 'must be http://host/path or https://host/path' });
  if (cluster === '') errors.push({ path: `${path}.http_uri.cluster`, message: 'is required: name the cluster that serves the keys' });
  const timeoutMs = durationMs(httpUri?.timeout, 0);
  if (timeoutMs === 0) errors.push({ path: `${path}.http_uri.timeout`, message: 'is required and must be greater than 0' });
  if (retryPolicy !== undefined && retryPolicy.retryOn !== '') warn(`${path}.retry_policy.retry_on`, 'every failure is retried');
  if (errors.length > 0 || target === null) return err(errors);
  const baseMs = durationMs(retryPolicy?.retryBackOff?.baseInterval, 1000);
  return ok({
    cluster, ...target, timeoutMs, cacheMs: durationMs(cacheDuration, defaultCacheMs) || defaultCacheMs,
    ahead: asyncFetch === undefined ? null : { failedRefetchMs: durationMs(asyncFetch.failedRefetchDuration, defaultFailedRefetchMs) },
    retries: retryPolicy === undefined ? 0 : (retryPolicy.numRetries ?? 1),
    backOff: { baseMs, maxMs: durationMs(retryPolicy?.retryBackOff?.maxInterval, baseMs * 10) },
  });
}

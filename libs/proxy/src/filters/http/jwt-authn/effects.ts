import type { Jwt, JsonObject } from '@meltemi/identity/jwt';
import type { HeaderMap } from '@meltemi/http';
import type { StreamControls } from '../../../filter.ts';
import { removeToken, type FoundToken } from './locations.ts';
import type { Provider } from './provider.ts';

/** Where other filters find what tokens said. */
export const jwtMetadata = 'envoy.filters.http.jwt_authn';

/** Takes away what only a verified token may put into a request, also with underscores: who reads headers as CGI does sees no difference. */
export function sanitize(provider: Provider, { request: { headers } }: StreamControls): void {
  if (provider.payloadHeader !== '') removeAlike(headers, provider.payloadHeader);
  for (const { header } of provider.claimHeaders) removeAlike(headers, header);
}

function removeAlike(headers: HeaderMap, name: string): void {
  const plain = name.replaceAll('_', '-');
  for (const other of headers.flat.filter((_, i) => i % 2 === 0)) if (other.length === plain.length && other.replaceAll('_', '-') === plain) headers.remove(other);
}

/** What a verified token does to its request. */
export function applyToken(provider: Provider, token: FoundToken, jwt: Jwt, stream: StreamControls): void {
  const { request, info } = stream;
  if (provider.payloadHeader !== '') request.headers.add(provider.payloadHeader, provider.padPayload ? jwt.payloadText.padEnd(Math.ceil(jwt.payloadText.length / 4) * 4, '=') : jwt.payloadText);
  if (!provider.forward) removeToken(token, request);
  if (provider.headerKey !== '') info.setMetadata(jwtMetadata, provider.headerKey, jwt.header);
  applyClaims(provider, jwt.payload, stream);
}

/** The part of it that follows from the claims alone. */
export function applyClaims(provider: Provider, claims: JsonObject, stream: StreamControls): void {
  for (const { header, claim } of provider.claimHeaders) {
    const text = fieldText(claimAt(claims, claim));
    if (text !== '') stream.request.headers.add(header, text);
  }
  if (provider.payloadKey !== '') stream.info.setMetadata(jwtMetadata, provider.payloadKey, normalized(claims, provider.spaceDelimited));
  if (provider.clearRoute) stream.clearRoute();
}

function claimAt(payload: JsonObject, path: readonly string[]): unknown {
  let value: unknown = payload;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as JsonObject)[key];
  }
  return value;
}

/** A claim as a header's value; "" for what has none: lists, objects, and texts with control characters. */
function fieldText(value: unknown): string {
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'string' || /\p{Cc}/u.test(value)) return '';
  return Buffer.from(value).toString('latin1');
}

function normalized(payload: JsonObject, spaceDelimited: readonly string[]): JsonObject {
  if (spaceDelimited.length === 0) return payload;
  const copy: Record<string, unknown> = { ...payload };
  for (const claim of spaceDelimited) {
    const value = Object.hasOwn(payload, claim) ? payload[claim] : undefined;
    if (typeof value === 'string') copy[claim] = value.split(' ').filter((word) => word !== '');
  }
  return copy;
}

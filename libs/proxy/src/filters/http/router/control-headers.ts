import type { RequestHead } from '@meltemi/http';
import { parseRetryGrpcOn, parseRetryHttpOn, type ForwardAction } from '@meltemi/route';

/** What callers inside the mesh may ask of the router; elsewhere the connection manager takes these away. */
const controlHeaders = new Set([
  'x-envoy-retry-on', 'x-envoy-retry-grpc-on', 'x-envoy-max-retries', 'x-envoy-retriable-status-codes', 'x-envoy-retriable-header-names', 'x-envoy-hedge-on-per-try-timeout',
  'x-envoy-upstream-rq-timeout-ms', 'x-envoy-upstream-rq-per-try-timeout-ms', 'x-envoy-upstream-rq-timeout-alt-response', 'x-envoy-upstream-alt-stat-name', 'x-envoy-expected-rq-timeout-ms',
]);

/** What the walk over a request's fields finds, as bits. */
export const Asks = { control: 1, internal: 2 } as const;

/** Which of the router's fields a request has, as bits of Asks. @hot */
export function askedBy(head: RequestHead): number {
  const flat = head.headers.flat;
  let found = 0;
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? '';
    if (name.charCodeAt(0) !== 120 || !name.startsWith('x-envoy-')) continue;
    if (name === 'x-envoy-internal') found |= flat[i + 1] === 'true' ? Asks.internal : 0;
    else if (controlHeaders.has(name)) found |= Asks.control;
  }
  return found;
}

/** What strict_check_headers may list. */
export const strictHeaders = ['x-envoy-upstream-rq-timeout-ms', 'x-envoy-upstream-rq-per-try-timeout-ms', 'x-envoy-max-retries', 'x-envoy-retry-on', 'x-envoy-retry-grpc-on'] as const;
export type StrictHeader = (typeof strictHeaders)[number];

/** The first listed header whose value cannot be read, or null. */
export function malformedHeader(names: readonly StrictHeader[], head: RequestHead): { readonly name: string; readonly value: string } | null {
  for (const name of names) {
    const value = head.headers.get(name);
    if (value !== null && !isReadable(name, value)) return { name, value };
  }
  return null;
}

function isReadable(name: StrictHeader, value: string): boolean {
  let known = true;
  const unknown = () => {
    known = false;
  };
  if (name === 'x-envoy-retry-on') parseRetryHttpOn(value, unknown);
  else if (name === 'x-envoy-retry-grpc-on') parseRetryGrpcOn(value, unknown);
  else known = /^\d{1,19}$/.test(value.trim());
  return known;
}

/** Retries as a caller inside asks for them. */
export interface RetryOverrides {
  /** Bits of RetryOn. */
  readonly on: number;
  readonly max: number | null;
  readonly statusCodes: readonly number[];
  /** Names of response fields. */
  readonly headerNames: readonly string[];
}

export const noOverrides: RetryOverrides = { on: 0, max: null, statusCodes: [], headerNames: [] };

/** Reads and takes away what a request asks of retries. */
export function takeRetryOverrides(head: RequestHead): RetryOverrides {
  const max = take(head, 'x-envoy-max-retries');
  return {
    on: parseRetryHttpOn(take(head, 'x-envoy-retry-on') ?? '') | parseRetryGrpcOn(take(head, 'x-envoy-retry-grpc-on') ?? ''),
    max: max !== null && /^\d{1,9}$/.test(max) ? Number(max) : null,
    statusCodes: listed(take(head, 'x-envoy-retriable-status-codes')).flatMap((code) => (/^\d{3}$/.test(code) ? [Number(code)] : [])),
    headerNames: listed(take(head, 'x-envoy-retriable-header-names')).map((name) => name.toLowerCase()),
  };
}

function take(head: RequestHead, name: string): string | null {
  const value = head.headers.getAll(name);
  if (value !== null) head.headers.remove(name);
  return value;
}

function listed(text: string | null): string[] {
  return (text ?? '').split(',').map((part) => part.trim()).filter((part) => part !== '');
}

/** The name under which a caller inside wants its request counted too. */
export function takeAltName(head: RequestHead): string | null {
  const name = take(head, 'x-envoy-upstream-alt-stat-name');
  return name !== null && /^[\w.-]{1,60}$/.test(name) ? name : null;
}

/** Tells the upstream which attempt this is, and why, where the route wants it. */
export function sayAttempt(action: ForwardAction, head: RequestHead, { tries, timeoutRetry }: { readonly tries: number; readonly timeoutRetry: boolean }): void {
  if (action.includeAttemptCountInRequest) head.headers.set('x-envoy-attempt-count', String(tries));
  if (action.includeTimeoutRetry && tries > 1) head.headers.set('x-envoy-is-timeout-retry', String(timeoutRetry));
}

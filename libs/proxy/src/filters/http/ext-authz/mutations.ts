import { pathEnd, queryOf, type HeaderMap, type RequestHead } from '@meltemi/http';
import type { Allowed, HeaderChange, Verdict } from './verdict.ts';

/** Belong to a connection or frame a message: a service's own are never taken over into the client's. */
const ownFraming = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'content-length', 'upgrade', 'te', 'trailer', 'http2-settings']);

export function framesMessages(name: string): boolean {
  return ownFraming.has(name);
}

const fieldName = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const fieldValue = /^[^\0\r\n]*$/;
const pseudo = new Set([':method', ':path', ':authority', ':scheme']);
/** A request target and a host of visible characters. */
const pseudoValue = /^[!-~]+$/;

function validChange({ name, value }: Pick<HeaderChange, 'name' | 'value'>): boolean {
  return pseudo.has(name) ? pseudoValue.test(value) : fieldName.test(name) && fieldValue.test(value);
}

/** Everything in it can be written into a head. */
export function validVerdict(verdict: Verdict): boolean {
  if (verdict.kind === 'error') return true;
  if (verdict.kind === 'denied') return verdict.headers.every(([name, value]) => validChange({ name, value }));
  return [...verdict.request, ...verdict.response].every(validChange) && verdict.remove.every((name) => pseudo.has(name) || fieldName.test(name)) && verdict.setParams.every(([key, value]) => pseudoValue.test(`x${key}${value}`));
}

/** Changes the request as the service asked; what cannot be written into it is left out. Says whether anything may route differently now. */
export function applyToRequest({ request: changes, remove, setParams, removeParams }: Allowed, head: RequestHead): boolean {
  for (const change of changes) if (validChange(change) && !framesMessages(change.name)) applyChange(change, head);
  for (const name of remove) if (!name.startsWith(':') && name !== 'host' && !framesMessages(name)) head.headers.remove(name);
  if (setParams.length + removeParams.length > 0) changeQuery(head, setParams.filter(([key, value]) => pseudoValue.test(`x${key}${value}`)), new Set(removeParams));
  return changes.length + remove.length + setParams.length + removeParams.length > 0;
}

export function applyToResponse(changes: readonly HeaderChange[], headers: HeaderMap): void {
  for (const change of changes) if (validChange(change) && !pseudo.has(change.name) && !framesMessages(change.name)) applyField(change, headers);
}

function applyChange(change: HeaderChange, head: RequestHead): void {
  const { name, value, action } = change;
  if (name !== 'host' && !pseudo.has(name)) return applyField(change, head.headers);
  // There is always one of them.
  if (action === 'add-if-absent') return undefined;
  if (name === ':path') head.path = value;
  else if (name === ':method') head.method = value;
  else if (name === ':scheme') head.scheme = value;
  else head.authority = value;
  return undefined;
}

function applyField({ name, value, action }: HeaderChange, headers: HeaderMap): void {
  const there = headers.has(name);
  if (action === 'append' || (action === 'add-if-absent' && !there)) headers.add(name, value);
  else if (action === 'overwrite' || (action === 'overwrite-if-exists' && there)) headers.set(name, value);
}

function changeQuery(head: RequestHead, set: readonly (readonly [string, string])[], remove: ReadonlySet<string>): void {
  const replaced = new Set([...remove, ...set.map(([key]) => key)]);
  const kept = queryOf(head.path).split('&').filter((pair) => pair !== '' && !replaced.has(pair.split('=', 1)[0] ?? ''));
  const query = [...kept, ...set.filter(([key]) => !remove.has(key)).map(([key, value]) => `${key}=${value}`)].join('&');
  const path = head.path.slice(0, pathEnd(head.path));
  head.path = query === '' ? path : `${path}?${query}`;
}

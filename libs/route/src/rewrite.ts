import { pathEnd, type RequestHead } from '@meltemi/http';
import type { ForwardAction, HostRewrite, PathRewrite, RedirectAction } from './types.ts';
import { stripPort } from './virtual-host-index.ts';

/** The cluster that a request goes to; null when its header is missing (503, NC). @hot */
export function clusterOf(action: ForwardAction, request: RequestHead): string | null {
  return action.cluster ?? (action.clusterHeader === null ? null : request.field(action.clusterHeader));
}

/**
 * Rewrites path and host for the upstream: the old ones go to x-envoy-original-path and x-envoy-original-host (`keepOriginals`: unless the router
 * suppresses its headers), the old host to x-forwarded-host when asked. `auto` host rewrites are the caller's, once a host is picked: see rewriteHost(). @hot
 */
export function rewriteRequest(action: ForwardAction, request: RequestHead, keepOriginals = true): void {
  const host = action.hostRewrite;
  // The host is taken from the path as it came, so before the path changes.
  if (host !== null && host.kind !== 'auto') {
    const value = hostValue(host, request);
    if (value !== '') rewriteHost(action, request, value, keepOriginals);
  }
  if (action.pathRewrite !== null) {
    const path = rewritePath(action.pathRewrite, request.path);
    if (path !== request.path) {
      if (keepOriginals) request.headers.set('x-envoy-original-path', request.path);
      request.path = path;
    }
  }
}

/** Sets the authority, keeping the old one in x-envoy-original-host, and at the end of x-forwarded-host when the route asks. */
export function rewriteHost(action: ForwardAction, request: RequestHead, host: string, keepOriginals = true): void {
  const before = request.authority;
  request.authority = host;
  if (before === '') return;
  if (keepOriginals) request.headers.set('x-envoy-original-host', before);
  if (!action.appendXForwardedHost) return;
  const said = request.headers.getAll('x-forwarded-host');
  if (said === null || said === '') request.headers.set('x-forwarded-host', before);
  else if (said.slice(said.lastIndexOf(',') + 1).trim() !== before) request.headers.set('x-forwarded-host', `${said},${before}`);
}

function hostValue(rewrite: HostRewrite, request: RequestHead): string {
  switch (rewrite.kind) {
    case 'literal':
      return rewrite.value;
    case 'header':
      return request.field(rewrite.name) ?? '';
    case 'path-regex':
      return rewrite.regex.rewrite(request.path.slice(0, pathEnd(request.path)));
    case 'auto':
      return '';
  }
}

/** The new path; query and fragment stay. @hot */
export function rewritePath(rewrite: PathRewrite, path: string): string {
  const end = pathEnd(path);
  switch (rewrite.kind) {
    case 'prefix':
      return rewrite.replacement + path.slice(rewrite.matchedLength);
    case 'full':
      return rewrite.replacement + path.slice(end);
    case 'regex':
      return rewrite.regex.rewrite(path.slice(0, end)) + path.slice(end);
  }
}

/** The Location of a redirect. Default ports of the new scheme are left out, as Envoy does when the scheme changes. */
export function redirectLocation(action: RedirectAction, request: RequestHead): string {
  const current = request.headers.get('x-forwarded-proto') ?? request.scheme;
  const scheme = action.scheme ?? current;
  return `${scheme}://${redirectHost(action, request, current)}${redirectPath(action, request.path)}`;
}

function redirectHost(action: RedirectAction, request: RequestHead, scheme: string): string {
  const host = action.host ?? request.authority;
  if (action.port !== null) return `${stripPort(host)}:${action.port}`;
  if (action.host !== null || action.scheme === null) return host;
  const stale = (scheme === 'http' && host.endsWith(':80')) || (scheme === 'https' && host.endsWith(':443'));
  return stale ? stripPort(host) : host;
}

function redirectPath(action: RedirectAction, original: string): string {
  const path = action.stripQuery ? original.slice(0, pathEnd(original)) : original;
  if (action.path === null) return path;
  if (action.path.kind !== 'path') return rewritePath(action.path, path);
  const value = action.path.value;
  // A path_redirect with its own query replaces the request's.
  return value.includes('?') ? (action.stripQuery ? value.slice(0, pathEnd(value)) : value) : value + path.slice(pathEnd(path));
}

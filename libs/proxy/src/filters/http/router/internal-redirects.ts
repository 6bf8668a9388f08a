import { HeaderMap, RequestHead, type ResponseHead } from '@meltemi/http';
import type { FlatStats } from '@meltemi/observe';
import type { InternalRedirectPolicy, RedirectPredicate, RouteMatch } from '@meltemi/route';
import type { ResponseTarget } from '../../../http/response-target.ts';
import type { Redirected } from '../../../http/redirected.ts';
import type { UpstreamCluster } from '../../../upstream.ts';

/** Why a redirect goes to the client; each has a counter, passthrough_internal_redirect_…. */
type Refusal = 'bad_location' | 'unsafe_scheme' | 'too_many_redirects' | 'no_route' | 'predicate';

/** The redirect as it came, and what it answered. */
export interface RedirectFacts {
  readonly policy: InternalRedirectPolicy;
  readonly route: RouteMatch;
  readonly cluster: UpstreamCluster;
  readonly request: RequestHead;
  readonly response: ResponseHead;
  /** All of the request is here and can be sent again. */
  readonly whole: boolean;
}

/** Finds the request to make in place of one that an upstream redirected, as Envoy's router does. One per router filter. */
export class InternalRedirects {
  readonly #stats: FlatStats;
  readonly #prefix: string;

  constructor(stats: FlatStats, statPrefix: string) {
    this.#stats = stats;
    this.#prefix = `http.${statPrefix}.passthrough_internal_redirect_`;
  }

  /** Null when the redirect is the client's. */
  next(facts: RedirectFacts, target: ResponseTarget): Redirected | null {
    const found = facts.whole ? this.#find(facts, target) : null;
    const refused = found === null || typeof found === 'string';
    if (typeof found === 'string') this.#stats.counter(this.#prefix + found).inc();
    this.#stats.counter(`cluster.${facts.cluster.config.statName}.upstream_internal_redirect_${refused ? 'failed' : 'succeeded'}_total`).inc();
    return refused ? null : found;
  }

  #find({ policy, route, request, response }: RedirectFacts, target: ResponseTarget): Redirected | Refusal {
    const location = parseLocation(response.headers.get('location') ?? '');
    if (location === null) return 'bad_location';
    const secure = request.scheme === 'https' && target.session.info.tls !== null;
    const toSecure = location.scheme === 'https';
    if (!policy.crossScheme && secure !== toSecure) return 'unsafe_scheme';
    const { count, followed } = target.redirects ?? { count: 0, followed: [] };
    if (count >= policy.max) return 'too_many_redirects';
    const get = response.status === 303 && request.method !== 'GET' && request.method !== 'HEAD';
    const next = new RequestHead(get ? 'GET' : request.method, location.path, location.authority, new HeaderMap([...request.headers.flat]), location.scheme, request.protocol);
    copyFields(policy.headersToCopy, response.headers, next.headers);
    const to = target.routeOf(next);
    if (to === null) return 'no_route';
    const step = `${route.routeName}\n${to.routeName}`;
    if (!policy.predicates.every((predicate) => accepts(predicate, { to: to.routeName, again: followed.includes(step), secure, toSecure }))) return 'predicate';
    if (get) next.headers.remove('content-length');
    next.headers.set('x-envoy-original-url', `${request.scheme}://${request.authority}${request.path}`);
    return { request: next, trail: { count: count + 1, followed: [...followed, step] }, keepsBody: !get };
  }
}

/** An absolute URL of http or https that can be a request line's; its fragment is dropped. */
function parseLocation(text: string): { readonly scheme: string; readonly authority: string; readonly path: string } | null {
  const [, scheme = '', authority = '', rest = ''] = /^(https?):\/\/([A-Za-z0-9\-._~%:[\]]+)((?:[/?][\x21\x22\x24-\x7e]*)?)(?:#|$)/i.exec(text) ?? [];
  if (scheme === '') return null;
  return { scheme: scheme.toLowerCase(), authority, path: rest.startsWith('/') ? rest : `/${rest}` };
}

function copyFields(names: readonly string[], from: HeaderMap, to: HeaderMap): void {
  for (const name of names) {
    to.remove(name);
    for (let i = 0; i < from.flat.length; i += 2) if (from.flat[i] === name) to.add(name, from.flat[i + 1] ?? '');
  }
}

function accepts(predicate: RedirectPredicate, { to, again, secure, toSecure }: { readonly to: string; readonly again: boolean; readonly secure: boolean; readonly toSecure: boolean }): boolean {
  switch (predicate.kind) {
    case 'previous-routes':
      return !again;
    case 'allow-listed-routes':
      return predicate.names.includes(to);
    case 'safe-cross-scheme':
      return secure || !toSecure;
  }
}

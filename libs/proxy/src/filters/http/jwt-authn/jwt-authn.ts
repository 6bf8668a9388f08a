import { pathOf, type RequestHead } from '@meltemi/http';
import { jwtStatus, type JwtStatus } from '@meltemi/identity/jwt';
import type { Counter } from '@meltemi/observe';
import { FilterEvents, FilterStatus, HttpStreamFilter, type FilterContext, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { Authentication, type Authenticators } from './authentication.ts';
import { ProviderRuntime } from './provider-runtime.ts';
import type { Requirement } from './requirement.ts';
import { parseJwtConfig, parseJwtRoute, type JwtConfig, type JwtRouteConfig } from './settings.ts';

/** Verifies JSON Web Tokens by the keys of their issuers, and tells others what they say. */
export const jwtAuthnFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.jwt_authn',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig'],
  stage: 'auth',
  trust: 'untrusted-downstream-and-upstream',
  parse: parseJwtConfig,
  parseRoute: parseJwtRoute,
  bind(config, ctx) {
    const shared = bindShared(config as JwtConfig, ctx);
    return { events: FilterEvents.decodeHead | FilterEvents.destroy, create: () => new JwtStream(shared) };
  },
};

interface Shared extends Authenticators {
  readonly config: JwtConfig;
  readonly filterName: string;
  readonly allowed: Counter;
  readonly denied: Counter;
  readonly preflights: Counter;
}

function bindShared(config: JwtConfig, ctx: FilterContext): Shared {
  const counter = (name: string) => ctx.stats.counter(`http.${ctx.hcm.statPrefix}.jwt_authn.${name}`);
  const fetches = { fetched: counter('jwks_fetch_success'), failed: counter('jwks_fetch_failed') };
  return {
    config, filterName: ctx.filterName,
    providers: new Map(config.providers.map((provider) => [provider.name, new ProviderRuntime(provider, ctx, fetches)])),
    cacheHit: counter('jwt_cache_hit'), cacheMiss: counter('jwt_cache_miss'),
    allowed: counter('allowed'), denied: counter('denied'), preflights: counter('cors_preflight_bypassed'),
  };
}

/** As much of the path as a client is told in www-authenticate. */
const maxRealmPath = 256;

class JwtStream extends HttpStreamFilter {
  readonly #shared: Shared;
  #authentication: Authentication | null = null;
  #deciding = true;
  #outcome: number | null = null;

  constructor(shared: Shared) {
    super();
    this.#shared = shared;
  }

  override decodeHead(stream: StreamControls, head: RequestHead): number {
    const { config, allowed, preflights, filterName } = this.#shared;
    if (config.bypassPreflight && isPreflight(head)) {
      preflights.inc();
      allowed.inc();
      return FilterStatus.continue;
    }
    const route = stream.perRoute(filterName) as JwtRouteConfig | null;
    const requirement = route === null ? this.#requirementOf(stream, head) : route.requirement === null ? null : config.requirements.get(route.requirement);
    if (requirement === undefined) return this.#wrongName(stream, route?.requirement ?? '');
    if (requirement === null) {
      allowed.inc();
      return FilterStatus.continue;
    }
    // Before anything of the request changes.
    const realm = realmOf(head);
    this.#authentication = new Authentication(this.#shared, stream);
    this.#authentication.start(requirement, (status) => this.#decided(stream, status, realm));
    this.#deciding = false;
    return this.#outcome ?? FilterStatus.stopIteration;
  }

  override destroy(): void {
    this.#authentication?.cancel();
  }

  #requirementOf(stream: StreamControls, head: RequestHead): Requirement | null {
    for (const { match, requirement } of this.#shared.config.rules) if (match.matches(head, stream.random.next(), stream.info)) return requirement;
    return null;
  }

  #decided(stream: StreamControls, status: JwtStatus | null, realm: string): void {
    this.#outcome = status === null ? FilterStatus.continue : FilterStatus.stopIteration;
    if (status !== null) return this.#refuse(stream, status, realm);
    this.#shared.allowed.inc();
    if (!this.#deciding) stream.continueRequest();
    return undefined;
  }

  #refuse(stream: StreamControls, status: JwtStatus, realm: string): void {
    const { denied, config: { stripResponse } } = this.#shared;
    denied.inc();
    const challenge = `Bearer realm="${realm}"${status === jwtStatus.missing ? '' : ', error="invalid_token"'}`;
    stream.sendLocalReply({
      status: status === jwtStatus.audienceNotAllowed ? 403 : 401, body: stripResponse ? '' : status.text, details: detailsOf(status.text),
      headers: stripResponse ? [] : [['www-authenticate', challenge]],
    });
  }

  #wrongName(stream: StreamControls, name: string): number {
    const { denied, config } = this.#shared;
    const message = `Wrong requirement_name: ${name}. It should be one of [${[...config.requirements.keys()].sort().join(',')}]`;
    denied.inc();
    stream.sendLocalReply({ status: 403, body: config.stripResponse ? '' : `Failed JWT authentication: ${message}`, details: detailsOf(message) });
    return FilterStatus.stopIteration;
  }
}

function isPreflight(head: RequestHead): boolean {
  return head.method === 'OPTIONS' && (head.headers.get('origin') ?? '') !== '' && (head.headers.get('access-control-request-method') ?? '') !== '';
}

function detailsOf(text: string): string {
  return `jwt_authn_access_denied{${text.replaceAll(/\s/g, '_')}}`;
}

/** Deviation: without the query, which may hold the token. */
function realmOf(head: RequestHead): string {
  const scheme = head.headers.get('x-forwarded-proto') ?? head.scheme;
  const path = pathOf(head.headers.get('x-envoy-original-path') ?? head.path);
  return `${scheme}://${head.authority}${path.slice(0, maxRealmPath)}`.replaceAll(/["\\]/g, '');
}

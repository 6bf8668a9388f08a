import {
  applyClaims, FilterEvents, FilterStatus, httpFilterFactory, HttpStreamFilter, HttpTerminalFilter, type AccessRules, type ExtAuthzConfig, type FilterContext, type HttpFilterFactory, type JwtConfig, type JwtProvider,
  type StreamControls,
} from '@meltemi/proxy';
import type { RouteMatch } from '@meltemi/route';
import type { Origin, Step } from '../answer.ts';
import type { Call } from '../question.ts';

/** What the filters of one request left behind. */
export interface Witness {
  /** The request came to the router. */
  arrived: boolean;
  route: RouteMatch | null;
  readonly steps: Step[];
}

/** What is known of AuthorizationPolicies by the names of their rules. */
export interface PolicyNames {
  providerOf(rule: string): string | undefined;
  originOf(rule: string): Origin | undefined;
}

const type = (name: string) => `type.googleapis.com/envoy.extensions.filters.http.${name}`;
const routerUrl = type('router.v3.Router');
const jwtUrl = type('jwt_authn.v3.JwtAuthentication');
const extAuthzUrl = type('ext_authz.v3.ExtAuthz');
const rbacUrl = type('rbac.v3.RBAC');

/** The proxy's filters, but for the three that would need the world outside: what tokens and authorizers say is part of the question, and the router only takes note. */
export function filtersFor(call: Call, witness: Witness, names: PolicyNames): (typeUrl: string) => HttpFilterFactory | undefined {
  return (typeUrl) => {
    const real = httpFilterFactory(typeUrl);
    if (real === undefined) return undefined;
    if (typeUrl === routerUrl) return { ...real, bind: () => ({ events: FilterEvents.decodeHead, create: () => new RouterWitness(witness) }) };
    if (typeUrl === jwtUrl && call.jwtClaims !== undefined) return { ...real, bind: (config) => claims(config as JwtConfig, call.jwtClaims ?? {}, witness) };
    if (typeUrl === extAuthzUrl) return { ...real, bind: (config, context) => authorizer(config as ExtAuthzConfig, context, { call, witness, names }) };
    if (typeUrl === rbacUrl) return { ...real, bind: (config, context) => watched(real, config, context, { witness, names }) };
    return real;
  };
}

class RouterWitness extends HttpTerminalFilter {
  readonly #witness: Witness;

  constructor(witness: Witness) {
    super();
    this.#witness = witness;
  }

  override decodeHead(stream: StreamControls): number {
    this.#witness.arrived = true;
    this.#witness.route = stream.route();
    stream.sendLocalReply({ status: 200, body: '', details: 'explained' });
    return FilterStatus.stopIteration;
  }
}

function claims(config: JwtConfig, payload: Readonly<Record<string, unknown>>, witness: Witness): ReturnType<HttpFilterFactory['bind']> {
  return {
    events: FilterEvents.decodeHead,
    create: () =>
      new (class extends HttpStreamFilter {
        override decodeHead(stream: StreamControls): number {
          const ofIssuer = config.providers.filter(({ issuer }) => issuer === '' || payload['iss'] === undefined || issuer === payload['iss']);
          // any rule of the issuer will do
          const provider = ofIssuer.find((one) => refusal(one, payload) === null) ?? ofIssuer[0];
          const refused = provider === undefined ? { status: 401, why: 'Jwt issuer is not configured' } : refusal(provider, payload);
          witness.steps.push({ at: 'http_filter', name: 'envoy.filters.http.jwt_authn', matched: refused === null, detail: refused === null ? `the token of ${provider?.issuer || 'any issuer'} is accepted` : refused.why });
          if (refused !== null) {
            stream.sendLocalReply({ status: refused.status, body: refused.why, details: `jwt_authn_access_denied{${refused.why.replaceAll(' ', '_')}}` });
            return FilterStatus.stopIteration;
          }
          if (provider !== undefined) applyClaims(provider, payload, stream);
          return FilterStatus.continue;
        }
      })(),
  };
}

function refusal(provider: JwtProvider, payload: Readonly<Record<string, unknown>>): { status: number; why: string } | null {
  const audience = payload['aud'];
  // the token is good: whoever leaves its audience out does not ask about it
  if (audience === undefined) return null;
  const audiences = (Array.isArray(audience) ? audience : [audience]).filter((one): one is string => typeof one === 'string');
  if (!provider.audiences.allow(audiences)) return { status: 403, why: 'Audiences in Jwt are not allowed' };
  return null;
}

interface AuthorizerScope {
  readonly call: Call;
  readonly witness: Witness;
  readonly names: PolicyNames;
}

const rbacMetadata = 'envoy.filters.http.rbac';

function authorizer(config: ExtAuthzConfig, context: FilterContext, { call, witness, names }: AuthorizerScope): ReturnType<HttpFilterFactory['bind']> {
  return {
    events: FilterEvents.decodeHead,
    create: () =>
      new (class extends HttpStreamFilter {
        override decodeHead(stream: StreamControls): number {
          const metadata = stream.info.dynamicMetadata;
          if (config.enabledMetadata !== null && !config.enabledMetadata.matches(metadata)) {
            witness.steps.push({ at: 'http_filter', name: context.filterName, matched: false, detail: 'no CUSTOM policy matches: the external authorizer is not asked' });
            return FilterStatus.continue;
          }
          const policy = shadowPolicy(metadata?.[rbacMetadata]);
          const provider = (policy === undefined ? undefined : names.providerOf(policy)) ?? Object.keys(call.extAuthz)[0] ?? '';
          const verdict = call.extAuthz[provider];
          witness.steps.push({ at: 'http_filter', name: context.filterName, matched: true, detail: verdict === undefined ? `the call does not say what external authorizer "${provider}" answers: taken as allow` : `external authorizer "${provider}" answers ${verdict}` });
          if (verdict !== 'deny') return FilterStatus.continue;
          stream.sendLocalReply({ status: 403, body: '', details: `ext_authz_denied${policy === undefined ? '' : `[${policy}]`}` });
          return FilterStatus.stopIteration;
        }
      })(),
  };
}

/** The CUSTOM rule that asks for the authorizer. */
function shadowPolicy(metadata: Readonly<Record<string, unknown>> | undefined): string | undefined {
  const entry = Object.entries(metadata ?? {}).find(([key, value]) => key.includes('ext_authz') && key.endsWith('shadow_effective_policy_id') && typeof value === 'string');
  return entry?.[1] as string | undefined;
}

/** The real filter, with a note of what it found. */
function watched(real: HttpFilterFactory, config: unknown, context: FilterContext, { witness, names }: Omit<AuthorizerScope, 'call'>): ReturnType<HttpFilterFactory['bind']> {
  const bound = real.bind(config, context);
  return {
    events: bound.events,
    create(stream) {
      const filter = bound.create(stream);
      if (filter === null) return null;
      return new (class extends HttpStreamFilter {
        override decodeHead(controls: StreamControls, head: StreamControls['request'], end: boolean): number {
          const { rules } = (controls.perRoute(context.filterName) as AccessRules | null) ?? (config as AccessRules);
          if (rules !== null) {
            const { policy } = rules.decide(controls.info);
            witness.steps.push({ at: 'http_filter', name: context.filterName, matched: policy !== null, detail: `${rules.action === 'allow' ? 'ALLOW' : rules.action === 'deny' ? 'DENY' : rules.action === 'log' ? 'AUDIT' : 'MATCH'} policies: ${policy === null ? 'no rule matches' : `${policy} matches`}`, ...originStep(policy, names) });
          }
          return filter.decodeHead(controls, head, end);
        }
      })();
    },
  };
}

function originStep(policy: string | null, names: PolicyNames): Pick<Step, 'origin'> {
  const origin = policy === null ? undefined : names.originOf(policy);
  return origin ? { origin } : {};
}

import { deniedDetails } from '@meltemi/authz';
import { RBAC, RBACPerRoute } from '@meltemi/api/gen/envoy/extensions/filters/http/rbac/v3/rbac.ts';
import { err, ok, type Result } from '@meltemi/base';
import { use, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterEvents, FilterStatus, HttpStreamFilter, type HttpFilterFactory, type StreamControls } from '../../../filter.ts';
import { checkSettings } from '../../check-settings.ts';
import { AccessCheck, compileAccessRules, noRules, type AccessRules } from './access-check.ts';

/** What an rbac config compiles to. */
export interface RbacConfig extends AccessRules {
  readonly rulesStatPrefix: string;
  readonly shadowStatPrefix: string;
  readonly countsPolicies: boolean;
}

/** Lets a request pass or answers 403, by policies over who asks and what for. A route's policies replace the chain's. */
export const rbacFilter: HttpFilterFactory = {
  name: 'envoy.filters.http.rbac',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC'],
  routeTypeUrls: ['type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBACPerRoute'],
  stage: 'auth',
  trust: 'untrusted-downstream-and-upstream',
  parse: (bytes, ctx) => compile(RBAC.decode(bytes), ctx),
  parseRoute(bytes, ctx): Result<AccessRules> {
    const { rbac } = RBACPerRoute.decode(bytes);
    // Without one the filter is off for the route.
    return rbac === undefined ? ok(noRules) : compile(rbac, { ...ctx, path: `${ctx.path}.rbac` });
  },
  bind(config, ctx) {
    const base = config as RbacConfig;
    const names = { statPrefix: `http.${ctx.hcm.statPrefix}`, rulesStatPrefix: base.rulesStatPrefix, shadowStatPrefix: base.shadowStatPrefix, metadata: 'envoy.filters.http.rbac', perPolicy: base.countsPolicies ? 'all' : 'none' } as const;
    const filter = new RbacStream(base, ctx.filterName, new AccessCheck(names, ctx.stats));
    return { events: FilterEvents.decodeHead, create: () => filter };
  },
};

const settings: FieldTable<RBAC> = {
  rules: use, shadowRules: use, rulesStatPrefix: use, shadowRulesStatPrefix: use,
  matcher: use, shadowMatcher: use,
  trackPerRuleStats: use,
};

function compile(message: RBAC, ctx: Pick<ParseContext, 'path' | 'warn'>): Result<RbacConfig> {
  const errors = checkSettings(message, settings, ctx);
  const rules = compileAccessRules(message, 'request', ctx);
  if (!rules.ok) errors.push(...rules.error);
  if (errors.length > 0 || !rules.ok) return err(errors);
  return ok({ ...rules.value, rulesStatPrefix: message.rulesStatPrefix, shadowStatPrefix: message.shadowRulesStatPrefix, countsPolicies: message.trackPerRuleStats });
}

/** Keeps nothing between calls: one for all streams. @hot */
class RbacStream extends HttpStreamFilter {
  readonly #base: AccessRules;
  readonly #name: string;
  readonly #check: AccessCheck;

  constructor(base: AccessRules, name: string, check: AccessCheck) {
    super();
    this.#base = base;
    this.#name = name;
    this.#check = check;
  }

  override decodeHead(stream: StreamControls): number {
    const { rules, shadow } = (stream.perRoute(this.#name) as AccessRules | null) ?? this.#base;
    if (shadow !== null) this.#check.shadow(shadow, stream.info);
    if (rules === null || this.#check.allows(rules, stream.info)) return FilterStatus.continue;
    stream.sendLocalReply({ status: 403, body: 'RBAC: access denied', details: deniedDetails(this.#check.lastPolicy) });
    return FilterStatus.stopIteration;
  }
}

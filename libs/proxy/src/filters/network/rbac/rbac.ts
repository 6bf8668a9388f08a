import { deniedDetails } from '@meltemi/authz';
import { RBAC, RBAC_EnforcementType } from '@meltemi/api/gen/envoy/extensions/filters/network/rbac/v3/rbac.ts';
import { err, ok, type Result } from '@meltemi/base';
import { use, type FieldTable } from '@meltemi/route';
import type { ParseContext } from '@meltemi/snapshot';
import { FilterStatus, NetworkStreamFilter, type ConnectionControls, type NetworkFilterFactory } from '../../../filter.ts';
import { checkSettings } from '../../check-settings.ts';
import { AccessCheck, compileAccessRules, type AccessRules } from '../../http/rbac/access-check.ts';

interface RbacConfig extends AccessRules {
  readonly statPrefix: string;
  readonly shadowStatPrefix: string;
  /** Every time bytes come, not only the first. */
  readonly continuous: boolean;
}

/**
 * Closes connections that policies deny, when their client sends its first bytes. What speaks first on the server's side is told to the
 * client before that, as in Envoy. Deviation: shadow policies are tried when the connection opens, so that an ext_authz filter behind can
 * hold it by what they say before anything is read.
 */
export const networkRbacFilter: NetworkFilterFactory = {
  name: 'envoy.filters.network.rbac',
  typeUrls: ['type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC'],
  trust: 'untrusted-downstream-and-upstream',
  parse,
  bind(config, ctx) {
    const compiled = config as RbacConfig;
    if (compiled.rules === null && compiled.shadow === null) return { create: () => null };
    const check = new AccessCheck({ statPrefix: compiled.statPrefix, rulesStatPrefix: '', shadowStatPrefix: compiled.shadowStatPrefix, metadata: 'envoy.filters.network.rbac', perPolicy: 'denying' }, ctx.stats);
    return { create: () => new RbacConnection(compiled, check) };
  },
};

const settings: FieldTable<RBAC> = {
  rules: use, shadowRules: use, shadowRulesStatPrefix: use, statPrefix: use, enforcementType: use,
  matcher: use, shadowMatcher: use,
};

function parse(bytes: Uint8Array, ctx: ParseContext): Result<RbacConfig> {
  const message = RBAC.decode(bytes);
  const errors = checkSettings(message, settings, ctx);
  const rules = compileAccessRules(message, 'connection', ctx);
  if (!rules.ok) errors.push(...rules.error);
  if (message.statPrefix === '') errors.push({ path: `${ctx.path}.stat_prefix`, message: 'is required' });
  if (message.enforcementType === RBAC_EnforcementType.UNRECOGNIZED) errors.push({ path: `${ctx.path}.enforcement_type`, message: 'must be ONE_TIME_ON_FIRST_BYTE or CONTINUOUS' });
  if (errors.length > 0 || !rules.ok) return err(errors);
  return ok({ ...rules.value, statPrefix: message.statPrefix, shadowStatPrefix: message.shadowRulesStatPrefix, continuous: message.enforcementType === RBAC_EnforcementType.CONTINUOUS });
}

/** @hot */
class RbacConnection extends NetworkStreamFilter {
  readonly #config: RbacConfig;
  readonly #check: AccessCheck;
  #checked = false;

  constructor(config: RbacConfig, check: AccessCheck) {
    super();
    this.#config = config;
    this.#check = check;
  }

  override onNewConnection(controls: ConnectionControls): number {
    const { shadow } = this.#config;
    if (shadow !== null) this.#check.shadow(shadow, controls.info);
    return FilterStatus.continue;
  }

  override onRead(controls: ConnectionControls): void {
    const { rules, shadow, continuous } = this.#config;
    if (this.#checked && !continuous) return;
    if (shadow !== null && this.#checked) this.#check.shadow(shadow, controls.info);
    this.#checked = true;
    if (rules !== null && !this.#check.allows(rules, controls.info)) controls.close(deniedDetails(this.#check.lastPolicy));
  }
}

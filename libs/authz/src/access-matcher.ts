import { fail, ok, type Result } from '@meltemi/base';
import { Action, RBAC_Action } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/xds/core/v3/extension.ts';
import type { Matcher } from '@meltemi/api/gen/xds/type/matcher/v3/matcher.ts';
import type { StreamInfo } from '@meltemi/http';
import { compileMatcher, connectionInputs, requestInputs, type MatchTree } from '@meltemi/match';
import type { Verdict } from './verdict.ts';

const actionUrl = 'type.googleapis.com/envoy.config.rbac.v3.Action';
/** As in Envoy. */
const unmatched: Verdict = { policy: null, allowed: false, logged: null };

/** Access control by a matcher, whose actions allow, deny or log. What none matches is denied. @hot */
export class AccessMatcher {
  /** Each action has its own. */
  readonly action = 'match';
  readonly #tree: MatchTree<StreamInfo, Verdict>;

  constructor(tree: MatchTree<StreamInfo, Verdict>) {
    this.#tree = tree;
  }

  decide(info: StreamInfo): Verdict {
    return this.#tree.match(info) ?? unmatched;
  }
}

/** Compiles a matcher of envoy.config.rbac.v3.Action, over a request or, for TCP, over a connection alone. */
export function compileAccessMatcher(message: Matcher, path: string, over: 'request' | 'connection'): Result<AccessMatcher> {
  const verdicts: { policy: string; allowed: boolean; logged: boolean | null }[] = [];
  const action = ({ typedConfig }: TypedExtensionConfig, at: string): Result<Verdict> => {
    if (typedConfig?.typeUrl !== actionUrl) return fail(`${at}.typed_config`, `must be ${actionUrl}`);
    const { name, action: kind } = Action.decode(typedConfig.value);
    if (name === '') return fail(`${at}.typed_config.name`, 'is required');
    if (kind !== RBAC_Action.ALLOW && kind !== RBAC_Action.DENY && kind !== RBAC_Action.LOG) return fail(`${at}.typed_config.action`, 'must be ALLOW, DENY or LOG');
    const verdict = { policy: name, allowed: kind !== RBAC_Action.DENY, logged: kind === RBAC_Action.LOG };
    verdicts.push(verdict);
    return ok(verdict);
  };
  const tree = compileMatcher(message, path, { inputs: over === 'request' ? requestInputs : connectionInputs, action });
  if (!tree.ok) return tree;
  // only a matcher that can log says anything to access logs, but then with each of its actions
  if (!verdicts.some(({ logged }) => logged === true)) for (const verdict of verdicts) verdict.logged = null;
  return ok(new AccessMatcher(tree.value));
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policiesInForce } from './check.ts';

const rules = (action: string | undefined, ...names: string[]) => ({ ...(action === undefined ? {} : { action }), policies: Object.fromEntries(names.map((name) => [name, {}])) });
const rule = (policy: string, i: number) => `ns[shop]-policy[${policy}]-rule[${i}]`;

test('policies are listed once for all listeners, by their action, with how many rules they have', () => {
  const dump = {
    configs: [
      { listeners: [{ http_filters: [{ typed_config: { rules: rules('DENY', rule('no', 0)) } }, { typed_config: { rules: rules(undefined, rule('web', 0), rule('web', 1)), shadow_rules: rules('ALLOW', rule('soon', 0)) } }] }] },
      { listeners: [{ filters: [{ typed_config: { rules: rules('ALLOW', rule('web', 0)) } }, { typed_config: { shadow_rules: rules('DENY', `istio-ext-authz-opa-${rule('ask', 0)}`) } }] }] },
      { rules: 'of something else' },
    ],
  };
  assert.deepEqual(policiesInForce(dump), [
    { action: 'ALLOW', policy: 'web.shop', rules: 2 }, { action: 'ALLOW (dry run)', policy: 'soon.shop', rules: 1 }, { action: 'CUSTOM', policy: 'ask.shop', rules: 1 }, { action: 'DENY', policy: 'no.shop', rules: 1 },
  ]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { MatchPredicate } from '@meltemi/api/gen/envoy/config/common/matcher/v3/matcher.ts';
import { Report } from '@meltemi/route';
import { compileErrorStatuses } from './error-statuses.ts';

function compile(json: object) {
  const report = new Report();
  const statuses = compileErrorStatuses(MatchPredicate.decode(jsonToBinary('envoy.config.common.matcher.v3.MatchPredicate', json)), 'matcher', report);
  return { statuses: [...(statuses ?? [])], errors: report.errors.map(({ path }) => path) };
}

const status = (exact: string, more: object = {}) => ({ http_response_headers_match: { headers: [{ name: ':status', string_match: { exact }, ...more }] } });

test('statuses are gathered from alternatives, one within the other', () => {
  assert.deepEqual(compile({ or_match: { rules: [status('429'), { or_match: { rules: [status('500'), status('503')] } }] } }), { statuses: [429, 500, 503], errors: [] });
});

test('what is no status by name is refused where it stands', () => {
  assert.deepEqual(compile({ or_match: { rules: [status('429'), status('many')] } }).errors, ['matcher.or_match.rules[1]']);
  assert.deepEqual(compile(status('429', { invert_match: true })).errors, ['matcher']);
  assert.deepEqual(compile({ any_match: true }).errors, ['matcher']);
});

import type { ObjectMeta } from '../../../object.ts';
import type { Findings } from '../../../rules/findings.ts';
import { regexReason } from '../../../rules/regex.ts';
import { item } from '../../../schema/schema.ts';
import type { HttpRouteFilter } from '../filters.ts';
import { patternReason } from '../patterns.ts';
import { checkFilters } from '../validate-filters.ts';
import { checkBackend, checkHostnames, checkParents, checkRuleNames } from '../validate-references.ts';
import type { HttpRouteMatch, HttpRouteRule, HttpRouteSpec, ValueMatch } from './types.ts';

/** Source: the CRD's CEL rules (kubernetes-sigs/gateway-api, config/crd). */
export function validate(spec: HttpRouteSpec, _about: ObjectMeta, findings: Findings): void {
  checkParents(spec.parentRefs, findings);
  checkHostnames(spec.hostnames, findings);
  checkRuleNames(spec.rules, findings);
  for (const [i, rule] of spec.rules.entries()) checkRule(rule, item('spec.rules', i), findings);
  const matches = spec.rules.reduce((sum, rule) => sum + Math.max(1, rule.matches.length), 0);
  if (matches > 128) findings.error('spec.rules', `has ${matches} matches over all rules; at most 128 are allowed`);
}

function checkRule(rule: HttpRouteRule, path: string, findings: Findings): void {
  for (const [i, match] of rule.matches.entries()) checkMatch(match, item(`${path}.matches`, i), findings);
  checkFilters(rule.filters, `${path}.filters`, findings);
  for (const [i, backend] of rule.backendRefs.entries()) {
    checkBackend(backend, item(`${path}.backendRefs`, i), findings);
    checkFilters(backend.filters, `${item(`${path}.backendRefs`, i)}.filters`, findings);
    checkPrefixReplacement(rule, backend.filters, { path: `${item(`${path}.backendRefs`, i)}.filters`, findings });
  }
  if (rule.backendRefs.length > 0 && rule.filters.some(({ requestRedirect }) => requestRedirect)) findings.error(`${path}.backendRefs`, 'cannot be set besides a RequestRedirect filter');
  checkPrefixReplacement(rule, rule.filters, { path: `${path}.filters`, findings });
  const { request, backendRequest } = rule.timeouts ?? {};
  if (request !== undefined && request > 0 && backendRequest !== undefined && backendRequest > request)
    findings.error(`${path}.timeouts.backendRequest`, 'must not be longer than the request timeout');
}

/** A prefix can only be replaced where exactly one was matched. */
function checkPrefixReplacement(rule: HttpRouteRule, filters: readonly HttpRouteFilter[], { path, findings }: { readonly path: string; readonly findings: Findings }): void {
  const [only] = rule.matches;
  if (rule.matches.length === 1 && only?.path.type === 'PathPrefix') return;
  // without any match the CRD's default is the one prefix "/"
  if (rule.matches.length === 0) return;
  for (const [i, filter] of filters.entries()) {
    const replaced = filter.urlRewrite?.path?.replacePrefixMatch ?? filter.requestRedirect?.path?.replacePrefixMatch;
    if (replaced !== undefined) findings.error(item(path, i), 'replacePrefixMatch needs exactly one match in the rule, of type PathPrefix');
  }
}

const pathCharacters = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/;
const forbidden = ['//', '/./', '/../', '%2f', '%2F', '#'];

function checkMatch({ path, headers, queryParams }: HttpRouteMatch, at: string, findings: Findings): void {
  if (path.type === 'RegularExpression') findings.check(`${at}.path.value`, regexReason(path.value));
  else checkPath(path.value, `${at}.path.value`, findings);
  checkValues(headers, `${at}.headers`, findings);
  checkValues(queryParams, `${at}.queryParams`, findings);
}

function checkPath(value: string, at: string, findings: Findings): void {
  const bad = forbidden.find((part) => value.includes(part)) ?? ['/..', '/.'].find((end) => value.endsWith(end));
  if (!value.startsWith('/')) findings.error(at, `"${value}" must start with "/"`);
  else if (bad !== undefined) findings.error(at, `"${value}" must not contain "${bad}": write the path as it is after normalization`);
  else if (!pathCharacters.test(value)) findings.error(at, `"${value}" has characters that no path has`);
}

/** Headers and query parameters; also of GRPCRoute. */
export function checkValues(values: readonly ValueMatch[], at: string, findings: Findings): void {
  const seen = new Set<string>();
  for (const [i, { type, name, value }] of values.entries()) {
    findings.check(`${item(at, i)}.name`, patternReason(name, 'headerName'));
    if (type === 'RegularExpression') findings.check(`${item(at, i)}.value`, regexReason(value));
    if (seen.has(name)) findings.error(`${item(at, i)}.name`, `"${name}" is matched already`);
    seen.add(name);
  }
}

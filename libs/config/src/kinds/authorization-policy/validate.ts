import type { ObjectMeta } from '../../object.ts';
import { subnetReason } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { item } from '../../schema/schema.ts';
import { checkTargets } from '../targeted-policy.ts';
import type { AuthorizationCondition, AuthorizationOperation, AuthorizationPolicySpec, AuthorizationRule, AuthorizationSource } from './types.ts';

/** Source: istio.io/istio pkg/config/validation (webhook), read for its rules; the messages are ours. */
export function validate(spec: AuthorizationPolicySpec, about: ObjectMeta, findings: Findings): void {
  checkTargets(spec, findings);
  checkAction(spec, findings);
  checkDryRun(spec, about, findings);
  for (const [i, rule] of (spec.rules ?? []).entries()) checkRule(rule, spec.action, { path: item('spec.rules', i), findings });
}

function checkAction(spec: AuthorizationPolicySpec, findings: Findings): void {
  if (spec.rules === undefined && (spec.action === 'CUSTOM' || spec.action === 'DENY'))
    findings.error('spec.rules', `without rules, action ${spec.action} never applies: add an empty rule {} for every request`);
  if (spec.action === 'CUSTOM' && (spec.provider?.name ?? '') === '') findings.error('spec.provider.name', 'is required for action CUSTOM');
  if (spec.action !== 'CUSTOM' && spec.provider) findings.error('spec.provider', `needs action CUSTOM, found ${spec.action}`);
}

function checkDryRun(spec: AuthorizationPolicySpec, about: ObjectMeta, findings: Findings): void {
  const dryRun = about.annotations['istio.io/dry-run'];
  if (dryRun === undefined) return;
  const at = 'metadata.annotations["istio.io/dry-run"]';
  if (!/^(1|t|T|true|TRUE|True|0|f|F|false|FALSE|False)$/.test(dryRun)) findings.error(at, `must be "true" or "false", found "${dryRun}"`);
  if (spec.action !== 'ALLOW' && spec.action !== 'DENY') findings.error(at, `works only with action ALLOW or DENY, found ${spec.action}`);
}

interface At {
  readonly path: string;
  readonly findings: Findings;
}

function checkRule(rule: AuthorizationRule, action: AuthorizationPolicySpec['action'], { path, findings }: At): void {
  for (const [i, { source }] of rule.from.entries()) checkSource(source, { path: `${item(`${path}.from`, i)}.source`, findings });
  for (const [i, { operation }] of rule.to.entries()) checkOperation(operation, { path: `${item(`${path}.to`, i)}.operation`, findings });
  for (const [i, condition] of rule.when.entries()) checkCondition(condition, { path: item(`${path}.when`, i), findings });
  if (action === 'CUSTOM') checkCustom(rule, { path, findings });
  const onlyHttpFrom = rule.from.length > 0 && rule.to.length === 0 && !rule.from.some(({ source }) => tcpSources.some((field) => source[field] !== undefined));
  const onlyHttpTo = rule.to.length > 0 && !rule.to.some(({ operation }) => operation.ports ?? operation.notPorts);
  if (action === 'DENY' && (onlyHttpFrom || onlyHttpTo)) findings.warn(path, 'uses only HTTP attributes, so it denies all traffic of TCP ports: name the ports');
}

const tcpSources = [
  'principals',
  'notPrincipals',
  'ipBlocks',
  'notIpBlocks',
  'namespaces',
  'notNamespaces',
  'remoteIpBlocks',
  'notRemoteIpBlocks',
  'serviceAccounts',
  'notServiceAccounts',
] as const;

function checkSource(source: AuthorizationSource, { path, findings }: At): void {
  checkLists(source, { path, findings });
  const byAccount = (source.serviceAccounts ?? []).length + (source.notServiceAccounts ?? []).length > 0;
  const byOther = (['principals', 'notPrincipals', 'namespaces', 'notNamespaces'] as const).some((field) => (source[field] ?? []).length > 0);
  if (byAccount && byOther) findings.error(`${path}.serviceAccounts`, 'cannot be set beside principals or namespaces');
  const each = (fields: readonly (keyof AuthorizationSource)[], reason: (value: string) => string | undefined): void => {
    for (const field of fields) for (const [i, value] of (source[field] ?? []).entries()) if (value !== '') findings.check(item(`${path}.${field}`, i), reason(value));
  };
  each(['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'], subnetReason);
  each(['serviceAccounts', 'notServiceAccounts'], accountReason);
  each(['trustDomains', 'notTrustDomains'], (value) => (value.includes('/') ? `"${value}" must not hold "/": name a trust domain, like cluster.local` : wildcardReason(value)));
}

function checkOperation(operation: AuthorizationOperation, { path, findings }: At): void {
  checkLists(operation, { path, findings });
  for (const field of ['ports', 'notPorts'] as const)
    for (const [i, port] of (operation[field] ?? []).entries())
      findings.check(item(`${path}.${field}`, i), portTextReason(port));
  for (const field of ['paths', 'notPaths'] as const)
    for (const [i, template] of (operation[field] ?? []).entries()) findings.check(item(`${path}.${field}`, i), pathTemplateReason(template));
}

/** 0 is a port to Istio here: it matches nothing. */
function portTextReason(text: string): string | undefined {
  return /^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? undefined : `"${text}" is not a port number in the range 0…65535`;
}

/** "account" or "namespace/account", letter by letter. */
function accountReason(text: string): string | undefined {
  if (text.includes('*')) return 'wildcards do not work in service accounts';
  const parts = text.split('/');
  return parts.length <= 2 && !parts.includes('') ? undefined : `"${text}" must be "account" or "namespace/account"`;
}

/** "cluster.local", with "*" first, last or alone. */
function wildcardReason(text: string): string | undefined {
  const at = text.indexOf('*');
  return at < 0 || (at === text.lastIndexOf('*') && (at === 0 || at === text.length - 1)) ? undefined : `"${text}" may hold one "*", at its start or its end`;
}

function checkLists(lists: AuthorizationSource | AuthorizationOperation, { path, findings }: At): void {
  const entries = Object.entries(lists).map(([field, values]): [string, readonly string[]] => [field, Array.isArray(values) ? values.map(String) : []]);
  if (entries.every(([, values]) => values.length === 0)) findings.error(path, 'must not be empty: name something, or leave it out');
  for (const [field, values] of entries)
    for (const [i, value] of values.entries()) if (value === '') findings.error(item(`${path}.${field}`, i), 'must not be empty');
}

/** {*} is one segment, {**} the rest; each a segment of its own, {**} the last of its kind. Braces mean nothing else. */
function pathTemplateReason(path: string): string | undefined {
  const template = path.includes('{*}') || path.includes('{**}');
  let rest = false;
  for (const segment of path.replace(/^\/+|\/+$/g, '').split('/')) {
    const operator = segment === '{*}' || segment === '{**}';
    if (operator && rest) return 'nothing in braces may follow {**}';
    if (segment === '{**}') rest = true;
    if (!operator && /[{}]/.test(segment)) return `"${segment}" must be {*} or {**}, alone between two "/"`;
    if (!operator && template && !/^[a-zA-Z0-9-._~%!$&'()+,;:@=]+$/.test(segment)) return `"${segment}" cannot stand beside {*} or {**} in a path`;
  }
  return undefined;
}

const attributes = [
  'source.ip',
  'remote.ip',
  'source.namespace',
  'source.serviceAccount',
  'source.trustDomain',
  'source.principal',
  'request.auth.principal',
  'request.auth.audiences',
  'request.auth.presenter',
  'destination.ip',
  'destination.port',
  'connection.sni',
];

function checkCondition({ key, values, notValues }: AuthorizationCondition, { path, findings }: At): void {
  findings.check(`${path}.key`, keyReason(key));
  if (key.startsWith('experimental.') && !key.startsWith('experimental.envoy.filters.')) findings.warn(`${path}.key`, 'is not an attribute that Istio knows: the whole rule is left out');
  if (values.length + notValues.length === 0) findings.error(path, 'needs values or notValues');
  for (const [field, list] of [['values', values], ['notValues', notValues]] as const)
    for (const [i, value] of list.entries()) findings.check(item(`${path}.${field}`, i), value === '' ? 'must not be empty' : valueReason(key, value));
}

function keyReason(key: string): string | undefined {
  if (attributes.includes(key)) return undefined;
  const mapped = ['request.headers', 'request.auth.claims', 'experimental.'].some((prefix) => key.startsWith(prefix));
  if (mapped) return /^[^[]+\[.+\]$/.test(key) ? undefined : `"${key}" must be of the form name[key]`;
  return `"${key}" is not an attribute; known are ${attributes.join(', ')}, request.headers[name] and request.auth.claims[name]`;
}

function valueReason(key: string, value: string): string | undefined {
  if (key.endsWith('.ip')) return subnetReason(value);
  if (key === 'destination.port') return portTextReason(value);
  if (key === 'source.serviceAccount') return accountReason(value);
  return key === 'source.trustDomain' ? wildcardReason(value) : undefined;
}

const notInCustom = ['source.namespace', 'source.serviceAccount', 'source.trustDomain', 'source.principal'];

function checkCustom(rule: AuthorizationRule, { path, findings }: At): void {
  for (const [i, { source }] of rule.from.entries())
    for (const [field, values] of Object.entries(source) as [string, readonly string[]][])
      if (values.length > 0 && !/ipBlocks$/i.test(field)) findings.error(`${item(`${path}.from`, i)}.source.${field}`, 'is not supported with action CUSTOM');
  for (const [i, { key }] of rule.when.entries())
    if (notInCustom.includes(key) || key.startsWith('request.auth.')) findings.error(`${item(`${path}.when`, i)}.key`, `"${key}" is not supported with action CUSTOM`);
}

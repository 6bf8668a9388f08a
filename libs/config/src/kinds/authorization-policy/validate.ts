import type { ObjectMeta } from '../../object.ts';
import { portReason, subnetReason } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { checkSelector } from '../../rules/labels.ts';
import { item } from '../../schema/schema.ts';
import type { AuthorizationCondition, AuthorizationOperation, AuthorizationPolicySpec, AuthorizationRule, AuthorizationSource } from './types.ts';

/** Source: istio.io/istio pkg/config/validation (webhook), read for its rules; the messages are ours. */
export function validate(spec: AuthorizationPolicySpec, about: ObjectMeta, findings: Findings): void {
  const attached = [spec.selector, spec.targetRef, spec.targetRefs.length > 0 ? spec.targetRefs : undefined].filter((one) => one !== undefined);
  if (attached.length > 1) findings.error('spec', 'only one of selector, targetRef and targetRefs may be set');
  checkSelector(spec.selector?.matchLabels, 'spec.selector.matchLabels', findings);
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
  for (const field of ['ipBlocks', 'notIpBlocks', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const)
    for (const [i, block] of (source[field] ?? []).entries()) findings.check(item(`${path}.${field}`, i), subnetReason(block));
}

function checkOperation(operation: AuthorizationOperation, { path, findings }: At): void {
  checkLists(operation, { path, findings });
  for (const field of ['ports', 'notPorts'] as const)
    for (const [i, port] of (operation[field] ?? []).entries())
      findings.check(item(`${path}.${field}`, i), /^\d+$/.test(port) ? portReason(Number(port)) : `"${port}" is not a port number`);
  for (const field of ['paths', 'notPaths'] as const)
    for (const [i, template] of (operation[field] ?? []).entries()) findings.check(item(`${path}.${field}`, i), pathTemplateReason(template));
}

function checkLists(lists: AuthorizationSource | AuthorizationOperation, { path, findings }: At): void {
  const entries = Object.entries(lists).map(([field, values]): [string, readonly string[]] => [field, Array.isArray(values) ? values.map(String) : []]);
  if (entries.every(([, values]) => values.length === 0)) findings.error(path, 'must not be empty: name something, or leave it out');
  for (const [field, values] of entries)
    for (const [i, value] of values.entries()) if (value === '') findings.error(item(`${path}.${field}`, i), 'must not be empty');
}

// {*} is one segment, {**} the rest; each a segment of its own, {**} the last of its kind.
function pathTemplateReason(path: string): string | undefined {
  if (!/[{}]/.test(path)) return undefined;
  const segments = path.replace(/^\//, '').split('/');
  const bad = segments.find((segment) => /[{}*]/.test(segment) && segment !== '{*}' && segment !== '{**}');
  if (bad !== undefined) return `"${bad}" must be {*} or {**}, alone between two "/"`;
  const rest = segments.indexOf('{**}');
  const again = rest >= 0 && segments.slice(rest + 1).some((segment) => segment.startsWith('{'));
  return again ? 'nothing in braces may follow {**}' : undefined;
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
  const bracketed = /^(request\.headers|request\.auth\.claims|experimental\.envoy\.filters\.[^[]*)\[.+\]$/.test(key);
  if (!bracketed && !attributes.includes(key) && !key.startsWith('experimental.')) findings.error(`${path}.key`, `"${key}" is not an attribute; known are ${attributes.join(', ')}, request.headers[name] and request.auth.claims[name]`);
  if (values.length + notValues.length === 0) findings.error(path, 'needs values or notValues');
  for (const [field, list] of [['values', values], ['notValues', notValues]] as const)
    for (const [i, value] of list.entries()) {
      if (key.endsWith('.ip')) findings.check(item(`${path}.${field}`, i), subnetReason(value));
      if (key === 'destination.port') findings.check(item(`${path}.${field}`, i), /^\d+$/.test(value) ? portReason(Number(value)) : `"${value}" is not a port number`);
    }
}

const notInCustom = ['source.namespace', 'source.serviceAccount', 'source.trustDomain', 'source.principal'];

function checkCustom(rule: AuthorizationRule, { path, findings }: At): void {
  for (const [i, { source }] of rule.from.entries())
    for (const field of Object.keys(source))
      if (!/ipBlocks$/i.test(field)) findings.error(`${item(`${path}.from`, i)}.source.${field}`, 'is not supported with action CUSTOM');
  for (const [i, { key }] of rule.when.entries())
    if (notInCustom.includes(key) || key.startsWith('request.auth.')) findings.error(`${item(`${path}.when`, i)}.key`, `"${key}" is not supported with action CUSTOM`);
}

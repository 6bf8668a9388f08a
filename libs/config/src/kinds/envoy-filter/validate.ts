import type { ObjectMeta } from '../../object.ts';
import type { Findings } from '../../rules/findings.ts';
import { checkSelector } from '../../rules/labels.ts';
import { regexReason } from '../../rules/regex.ts';
import { item } from '../../schema/schema.ts';
import { currentFilterName } from './filter-names.ts';
import { patchedMessages, readPatchValue } from './patch-value.ts';
import type { EnvoyApplyTo, EnvoyConfigObjectPatch, EnvoyFilterNameMatch, EnvoyFilterSpec } from './types.ts';

/** Source: istio.io/istio pkg/config/validation/envoyfilter, read for its rules. What nothing here can act on is a warning: the patch is set aside alone. */
export function validate(spec: EnvoyFilterSpec, _about: ObjectMeta, findings: Findings): void {
  if (spec.workloadSelector && spec.targetRefs.length > 0) findings.error('spec', 'only one of workloadSelector and targetRefs may be set');
  checkSelector(spec.workloadSelector?.labels, 'spec.workloadSelector.labels', findings);
  for (const [i, patch] of spec.configPatches.entries()) checkPatch(patch, item('spec.configPatches', i), findings);
}

function checkPatch(entry: EnvoyConfigObjectPatch, path: string, findings: Findings): void {
  const { applyTo, match, patch } = entry;
  if (match && (match.context === 'WAYPOINT') !== (match.waypoint !== undefined)) findings.error(`${path}.match.waypoint`, 'goes with context WAYPOINT, and with no other');
  // the table of supported fields speaks of waypoints, and of targets that cannot be patched
  if (match?.context === 'WAYPOINT') return;
  if (applyTo === 'INVALID') return findings.error(`${path}.applyTo`, 'is required');
  if (patch.operation === 'INVALID') return findings.error(`${path}.patch.operation`, 'is required');
  if (match?.proxy && match.proxy.proxyVersion.length > 1024) findings.warn(`${path}.match.proxy.proxyVersion`, 'has more than 1024 characters and is ignored');
  else if (match?.proxy && match.proxy.proxyVersion !== '') findings.check(`${path}.match.proxy.proxyVersion`, regexReason(match.proxy.proxyVersion));
  checkMatch(entry, `${path}.match`, findings);
  if (patch.operation === 'REMOVE') return;
  if (!patch.value) return findings.error(`${path}.patch.value`, `is required for operation ${patch.operation}`);
  if (!(applyTo in patchedMessages)) return;
  const at = `${path}.patch.value`;
  const text = JSON.stringify(patch.value);
  const old = oldType.exec(text)?.[1];
  if (old !== undefined) return findings.error(at, `${old} is of Envoy's second API, which nothing reads any more: use the message of v3`);
  const value = readPatchValue(applyTo, patch.value);
  const foreign = foreignType.exec(text)?.[1];
  if (foreign !== undefined) findings.warn(at, `unsupported: Meltemi's proxy does not run ${foreign}; there this patch is set aside, Envoy gets it`);
  if (value.state === 'read') {
    if (value.unknown !== undefined) findings.warn(at, `${value.unknown}: left out`);
  } else if (value.state === 'wrong') findings.error(at, value.reason);
  else findings.warn(at, `unsupported: ${value.reason}; this patch is set aside`);
}

const oldType = /"@type":"[^"]*\/(envoy\.[\w.]*\bv2(?:alpha\d*)?\.\w+)"/;

/** Messages that are known here for Envoy's sake. */
const foreignType = /"[^"]*\/(envoy\.extensions\.filters\.http\.(?:lua|wasm)\.v3\.\w+)"/;

/** What a patch may be matched by, by what it applies to. */
const matches: Readonly<Partial<Record<EnvoyApplyTo, 'listener' | 'routeConfiguration' | 'cluster'>>> = {
  LISTENER: 'listener', FILTER_CHAIN: 'listener', NETWORK_FILTER: 'listener', HTTP_FILTER: 'listener', LISTENER_FILTER: 'listener',
  ROUTE_CONFIGURATION: 'routeConfiguration', VIRTUAL_HOST: 'routeConfiguration', HTTP_ROUTE: 'routeConfiguration',
  CLUSTER: 'cluster',
};

function checkMatch({ applyTo, match }: EnvoyConfigObjectPatch, path: string, findings: Findings): void {
  if (!match) return;
  const wanted = matches[applyTo];
  for (const kind of ['listener', 'routeConfiguration', 'cluster'] as const)
    if (match[kind] !== undefined && wanted !== undefined && kind !== wanted) findings.error(`${path}.${kind}`, `does not fit applyTo ${applyTo}: match by ${wanted}`);
  const filter = match.listener?.filterChain?.filter;
  if (filter) checkFilter(filter, applyTo, `${path}.listener.filterChain.filter`, findings);
}

function checkFilter(filter: EnvoyFilterNameMatch, applyTo: EnvoyApplyTo, path: string, findings: Findings): void {
  if (applyTo === 'LISTENER' || applyTo === 'FILTER_CHAIN') findings.warn(path, `has no effect with applyTo ${applyTo}`);
  if (filter.name === '') return findings.error(`${path}.name`, 'is required');
  warnOldName('network', filter.name, `${path}.name`, findings);
  if (!filter.subFilter) return;
  if (applyTo !== 'HTTP_FILTER') findings.error(`${path}.subFilter`, 'can be used with applyTo HTTP_FILTER only');
  else if (currentFilterName('network', filter.name) !== 'envoy.filters.network.http_connection_manager') findings.error(`${path}.name`, 'must be envoy.filters.network.http_connection_manager while subFilter is set');
  if (filter.subFilter.name === '') findings.error(`${path}.subFilter.name`, 'is required');
  warnOldName('http', filter.subFilter.name, `${path}.subFilter.name`, findings);
}

function warnOldName(kind: 'http' | 'network', name: string, path: string, findings: Findings): void {
  const now = currentFilterName(kind, name);
  if (now !== name) findings.warn(path, `"${name}" is an old name: use "${now}"`);
}

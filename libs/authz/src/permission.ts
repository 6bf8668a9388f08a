import { fail, ok, type Result } from '@meltemi/base';
import type { Permission } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { portOf } from '@meltemi/http';
import { compileStringMatcher } from '@meltemi/match';
import { textNeeds } from './indexed/atoms.ts';
import { portDimension, serverNameDimension } from './indexed/dimensions.ts';
import { needOf, noNeeds } from './indexed/need.ts';
import { allOf, anyRule, not, type Rule } from './logic.ts';
import { addressRule, compileSet, headerRule, maxDepth, metadataRule, oneOf, pathRule, templateRule } from './rule.ts';

/** Compiles what a policy allows or denies. */
export function compilePermission({ rule }: Permission, path: string, depth = 0): Result<Rule> {
  if (depth > maxDepth) return fail(path, `permissions are nested deeper than ${maxDepth}`);
  const nested = (member: Permission, at: string) => compilePermission(member, at, depth + 1);
  switch (rule?.$case) {
    case 'any':
      return rule.value ? ok(anyRule) : fail(`${path}.any`, 'must be true: leave the permission out instead');
    case 'andRules':
      return mapped(compileSet(rule.value.rules, `${path}.and_rules.rules`, nested), allOf);
    case 'orRules':
      return mapped(compileSet(rule.value.rules, `${path}.or_rules.rules`, nested), oneOf);
    case 'notRule':
      return mapped(nested(rule.value, `${path}.not_rule`), not);
    case 'header':
      return headerRule(rule.value, `${path}.header`);
    case 'urlPath':
      return pathRule(rule.value, `${path}.url_path`);
    case 'metadata':
      return metadataRule(rule.value, `${path}.metadata`);
    case 'destinationIp':
      return addressRule(rule.value, `${path}.destination_ip`, { id: 'destination', of: (info) => info.connection.localAddress });
    case 'destinationPort':
      return portRule(rule.value, rule.value + 1, `${path}.destination_port`);
    case 'destinationPortRange':
      return portRule(rule.value.start, rule.value.end, `${path}.destination_port_range`);
    case 'requestedServerName':
      return mapped(compileStringMatcher(rule.value, `${path}.requested_server_name`), (match) => ({ matches: (info) => match.matches(info.connection.requestedServerName), needs: textNeeds(serverNameDimension, rule.value) }));
    case 'matcher':
      return fail(`${path}.matcher`, 'matcher extensions are not supported: use the rules that are built in');
    case 'uriTemplate':
      return templateRule(rule.value, `${path}.uri_template`);
    case undefined:
      return fail(path, 'names no rule that this version knows');
  }
}

/** start ≤ port < end */
function portRule(start: number, end: number, path: string): Result<Rule> {
  if (start < 0 || end > 65_536 || start >= end) return fail(path, 'must name ports from 0 to 65535, the end excluded and greater than the start');
  return ok({
    matches: (info) => {
      const port = portOf(info.connection.localAddress);
      return start <= port && port < end;
    },
    needs: end - start === 1 ? needOf({ dimension: portDimension, comparison: 'exact', value: String(start) }) : noNeeds,
  });
}

export function mapped<In, Out>(result: Result<In>, change: (value: In) => Out): Result<Out> {
  return result.ok ? ok(change(result.value)) : result;
}

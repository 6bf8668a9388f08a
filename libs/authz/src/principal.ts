import { fail, ok, type Result } from '@meltemi/base';
import type { Principal, Principal_Authenticated } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import type { FilterStateMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/filter_state.ts';
import { remoteAddress } from '@meltemi/http';
import { compileStringMatcher } from '@meltemi/match';
import { principalNeeds } from './indexed/atoms.ts';
import { noNeeds } from './indexed/need.ts';
import { mapped } from './permission.ts';
import { allOf, anyRule, not, type Rule } from './logic.ts';
import { addressRule, compileSet, headerRule, maxDepth, metadataRule, oneOf, pathRule } from './rule.ts';

/** Compiles who a policy is about. */
export function compilePrincipal({ identifier }: Principal, path: string, depth = 0): Result<Rule> {
  if (depth > maxDepth) return fail(path, `principals are nested deeper than ${maxDepth}`);
  const nested = (member: Principal, at: string) => compilePrincipal(member, at, depth + 1);
  switch (identifier?.$case) {
    case 'any':
      return identifier.value ? ok(anyRule) : fail(`${path}.any`, 'must be true: leave the principal out instead');
    case 'andIds':
      return mapped(compileSet(identifier.value.ids, `${path}.and_ids.ids`, nested), allOf);
    case 'orIds':
      return mapped(compileSet(identifier.value.ids, `${path}.or_ids.ids`, nested), oneOf);
    case 'notId':
      return mapped(nested(identifier.value, `${path}.not_id`), not);
    case 'authenticated':
      return authenticatedRule(identifier.value, `${path}.authenticated`);
    case 'sourceIp':
      return addressRule(identifier.value, `${path}.source_ip`, { id: 'source', of: (info) => remoteAddress(info.connection) });
    case 'directRemoteIp':
      return addressRule(identifier.value, `${path}.direct_remote_ip`, { id: 'peer', of: (info) => info.connection.directRemoteAddress });
    case 'remoteIp':
      return addressRule(identifier.value, `${path}.remote_ip`, { id: 'client', of: (info) => info.downstreamRemoteAddress });
    case 'header':
      return headerRule(identifier.value, `${path}.header`);
    case 'urlPath':
      return pathRule(identifier.value, `${path}.url_path`);
    case 'metadata':
      return metadataRule(identifier.value, `${path}.metadata`);
    case 'filterState':
      return filterStateRule(identifier.value, `${path}.filter_state`);
    case undefined:
      return fail(path, 'names no identifier that this version knows');
  }
}

/**
 * Without a name: any TLS connection, as in Envoy. With one: a URI SAN, a DNS SAN or the subject of the peer's certificate.
 * Deviation: a certificate that was not verified (trust_chain_verification ACCEPT_UNTRUSTED) names nobody, because anyone can make one.
 */
function authenticatedRule({ principalName }: Principal_Authenticated, path: string): Result<Rule> {
  if (principalName === undefined) return ok({ matches: (info) => info.connection.tls !== null, needs: noNeeds });
  return mapped(compileStringMatcher(principalName, `${path}.principal_name`), (name) => ({
    matches: ({ connection: { tls } }) => {
      if (tls === null || (tls.peerPresented && !tls.peerValidated)) return false;
      for (const uri of tls.peerUriSans) if (name.matches(uri)) return true;
      for (const dns of tls.peerDnsSans) if (name.matches(dns)) return true;
      return name.matches(tls.peerSubject);
    },
    needs: principalNeeds(principalName),
  }));
}

function filterStateRule({ key, matcher }: FilterStateMatcher, path: string): Result<Rule> {
  if (key === '') return fail(`${path}.key`, 'is required');
  return mapped(compileStringMatcher(matcher?.value, `${path}.string_match`), (match) => ({
    matches: ({ filterState }) => {
      const value = filterState?.get(key);
      return typeof value === 'string' && match.matches(value);
    },
    needs: noNeeds,
  }));
}

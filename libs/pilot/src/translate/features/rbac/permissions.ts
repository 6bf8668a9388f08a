import type { AuthorizationCondition, AuthorizationOperation } from '@meltemi/config';
import { Permission } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import { UriTemplateMatchConfig } from '@meltemi/api/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match.ts';
import { cidr, create, createAny } from '../../message.ts';
import type { Algebra, Clause } from './clause.ts';
import { anyValue, headerValue, listValue, metadataAt, stringValue, valueMatcher } from './matchers.ts';

type Rule = NonNullable<Permission['rule']>;

const permission = (rule: Rule): Permission => create(Permission, { rule });

export const permissions: Algebra<Permission> = {
  any: permission({ $case: 'any', value: true }),
  and: (rules) => permission({ $case: 'andRules', value: { rules } }),
  not: (rule) => permission({ $case: 'notRule', value: rule }),
};

const oneOf = (rules: Permission[]): Permission => permission({ $case: 'orRules', value: { rules } });

type Term = Clause<Permission>['term'];

/** One permission per value. */
const each = (build: (value: string) => Permission): Term => (values) => oneOf(values.map(build));

/** Of requests alone. */
const http = (tcp: boolean, term: Term): Term => (tcp ? () => undefined : term);

/** Clauses over what is asked for: an operation, and the conditions that speak of it. */
export function operationClauses(operation: AuthorizationOperation, conditions: readonly AuthorizationCondition[], tcp: boolean): Clause<Permission>[] {
  const clause = (values: readonly string[] | undefined, notValues: readonly string[] | undefined, term: Term): Clause<Permission> => ({ values: values ?? [], notValues: notValues ?? [], term });
  return [
    clause(operation.hosts, operation.notHosts, http(tcp, each((host) => permission({ $case: 'header', value: headerValue(':authority', host, true) })))),
    clause(operation.methods, operation.notMethods, http(tcp, each((method) => permission({ $case: 'header', value: headerValue(':method', method) })))),
    clause(operation.paths, operation.notPaths, http(tcp, each(path))),
    clause(operation.ports, operation.notPorts, each(port)),
    ...conditions.flatMap(({ key, values, notValues }) => {
      const term = conditionTerm(key);
      return term ? [{ values, notValues, term }] : [];
    }),
  ];
}

function conditionTerm(key: string): Term | undefined {
  if (key === 'destination.ip') return each((value) => permission({ $case: 'destinationIp', value: cidr(value) }));
  if (key === 'destination.port') return each(port);
  if (key === 'connection.sni') return each((value) => permission({ $case: 'requestedServerName', value: valueMatcher(value) }));
  return key.startsWith(filterPrefix) ? (values) => filterMetadata(key, values) : undefined;
}

function port(value: string): Permission {
  return permission({ $case: 'destinationPort', value: Number(value) });
}

function path(value: string): Permission {
  if (!value.includes('{*}') && !value.includes('{**}')) return permission({ $case: 'urlPath', value: { rule: { $case: 'path', value: valueMatcher(value) } } });
  const pathTemplate = value.replaceAll('{**}', '**').replaceAll('{*}', '*');
  return permission({ $case: 'uriTemplate', value: { name: 'uri-template', typedConfig: createAny('envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig', UriTemplateMatchConfig, { pathTemplate }) } });
}

/** Attributes that name metadata of a filter. */
const filterPrefix = 'experimental.envoy.filters.';

/** "experimental.envoy.filters.a.b[c]": metadata "c" of filter "envoy.filters.a.b"; a value in brackets is a member of a list. */
function filterMetadata(key: string, values: readonly string[]): Permission | undefined {
  const open = key.indexOf('[');
  if (open < 0) return undefined;
  const filter = key.slice('experimental.'.length, open);
  const name = key.slice(open + 1).replace(/\]$/, '');
  const matchers = values.map((value) => (value.startsWith('[') && value.endsWith(']') ? listValue(stringValue(valueMatcher(value.replaceAll(/^\[+|\]+$/g, '')))) : stringValue(valueMatcher(value))));
  return permission({ $case: 'metadata', value: metadataAt(filter, [name], anyValue(matchers)) });
}

import type { AuthorizationCondition, AuthorizationSource } from '@meltemi/config';
import { Principal } from '@meltemi/api/gen/envoy/config/rbac/v3/rbac.ts';
import type { StringMatcher } from '@meltemi/api/gen/envoy/type/matcher/v3/string.ts';
import { cidr, create } from '../../message.ts';
import type { Algebra, Clause } from './clause.ts';
import { anyValue, beginsWith, claimOrMember, claimText, endsWith, exactly, fits, headerValue, quoted, something, stringValue, valueMatcher } from './matchers.ts';
import type { TrustDomains } from './trust-domains.ts';

type Identifier = NonNullable<Principal['identifier']>;

const principal = (identifier: Identifier): Principal => create(Principal, { identifier });

export const principals: Algebra<Principal> = {
  any: principal({ $case: 'any', value: true }),
  and: (ids) => principal({ $case: 'andIds', value: { ids } }),
  not: (id) => principal({ $case: 'notId', value: id }),
};

const oneOf = (ids: Principal[]): Principal => principal({ $case: 'orIds', value: { ids } });

type Term = Clause<Principal>['term'];

/** What the translation of sources reads besides them. */
export interface SourceContext {
  /** Of the policy: where service accounts without a namespace are. */
  readonly namespace: string;
  readonly trustDomains: TrustDomains;
  /** For connections that are not read as HTTP. */
  readonly tcp: boolean;
}

/** Clauses over who asks: a source, and the conditions that speak of it. */
export function sourceClauses(source: AuthorizationSource, conditions: readonly AuthorizationCondition[], context: SourceContext): Clause<Principal>[] {
  const { trustDomains, tcp } = context;
  const terms = attributeTerms(context);
  const clause = (values: readonly string[] | undefined, notValues: readonly string[] | undefined, term: Term): Clause<Principal> => ({ values: values ?? [], notValues: notValues ?? [], term });
  return [
    clause(source.principals, source.notPrincipals, (values) => terms['source.principal'](trustDomains.principals(values))),
    clause(source.requestPrincipals, source.notRequestPrincipals, terms['request.auth.principal']),
    clause(source.serviceAccounts, source.notServiceAccounts, terms['source.serviceAccount']),
    clause(source.trustDomains, source.notTrustDomains, (values) => terms['source.trustDomain'](trustDomains.names(values))),
    clause(source.namespaces, source.notNamespaces, terms['source.namespace']),
    clause(source.remoteIpBlocks, source.notRemoteIpBlocks, terms['remote.ip']),
    clause(source.ipBlocks, source.notIpBlocks, terms['source.ip']),
    ...conditions.flatMap(({ key, values, notValues }) => {
      const term = conditionTerm(key, terms, tcp);
      if (!term) return [];
      const expanded = key === 'source.principal' ? trustDomains.principals : key === 'source.trustDomain' ? trustDomains.names : (list: readonly string[]) => list;
      return [{ values, notValues, term: (list: readonly string[]) => term(expanded(list)) }];
    }),
  ];
}

const each = (build: (value: string) => Principal): Term => (values) => oneOf(values.map(build));

function attributeTerms({ namespace, tcp }: SourceContext) {
  const http = (term: Term): Term => (tcp ? () => undefined : term);
  const claim = (name: string): Term => http((values) => claimed([name], values));
  return {
    'source.principal': each((value) => named(valueMatcher(value, 'spiffe://'))),
    'source.namespace': each((value) => named(fits(`.*/ns/${value.split('*').map(quoted).join('.*')}/.*`))),
    'source.serviceAccount': each((value) => named(fits(accountPattern(namespace, value)))),
    'source.trustDomain': each((value) => named(trustDomain(value))),
    'source.ip': each((value) => principal({ $case: 'directRemoteIp', value: cidr(value) })),
    'remote.ip': each((value) => principal({ $case: 'remoteIp', value: cidr(value) })),
    'request.auth.principal': http(requestPrincipal),
    'request.auth.audiences': claim('aud'),
    'request.auth.presenter': claim('azp'),
  } satisfies Record<string, Term>;
}

function conditionTerm(key: string, terms: Readonly<Record<string, Term>>, tcp: boolean): Term | undefined {
  const known = terms[key];
  if (known) return known;
  if (key.startsWith('request.headers')) return tcp ? () => undefined : (values) => header(key, values);
  if (key.startsWith('request.auth.claims')) return tcp ? () => undefined : (values) => claimed(claimPath(key.slice('request.auth.claims'.length)), values);
  return undefined;
}

function named(principalName: StringMatcher): Principal {
  return principal({ $case: 'authenticated', value: { principalName } });
}

/** "account" or "namespace/account" in any trust domain, whatever else the identity says between and behind. */
function accountPattern(own: string, text: string): string {
  const slash = text.indexOf('/');
  const namespace = slash < 0 ? own : text.slice(0, slash);
  return `spiffe://.+/ns/${quoted(namespace)}/(.+/|)sa/${quoted(text.slice(slash + 1))}(/.+)?`;
}

function trustDomain(value: string): StringMatcher {
  if (value === '*') return beginsWith('spiffe://');
  return value.includes('*') ? fits(`spiffe://${value.split('*').map(quoted).join('[^/]*')}/.*`) : beginsWith(`spiffe://${value}/`);
}

/** "issuer/subject"; the issuer may hold slashes, and one "*" may stand first or last. */
function requestPrincipal(values: readonly string[]): Principal {
  const terms = values.map((value) => {
    const { issuer, subject } = issuerAndSubject(value);
    return principals.and([claimIs('iss', issuer), claimIs('sub', subject)]);
  });
  const [only] = terms;
  return terms.length === 1 && only ? only : oneOf(terms);
}

function issuerAndSubject(value: string): { readonly issuer: StringMatcher; readonly subject: StringMatcher } {
  const slash = value.lastIndexOf('/');
  const issuer = slash < 0 ? value : value.slice(0, slash);
  const subject = slash < 0 ? '' : value.slice(slash + 1);
  if (value === '*') return { issuer: something(), subject: something() };
  if (value.startsWith('*')) {
    if (slash < 0) return { issuer: something(), subject: endsWith(value.slice(1)) };
    return { issuer: issuer === '*' ? something() : endsWith(issuer.slice(1)), subject: exactly(subject) };
  }
  if (!value.endsWith('*')) return { issuer: exactly(issuer), subject: exactly(subject) };
  if (slash < 0) return { issuer: beginsWith(value.slice(0, -1)), subject: something() };
  return { issuer: exactly(issuer), subject: subject === '*' ? something() : beginsWith(subject.slice(0, -1)) };
}

function claimIs(claim: string, text: StringMatcher): Principal {
  return principal({ $case: 'metadata', value: claimText(claim, text) });
}

function claimed(claims: readonly string[] | undefined, values: readonly string[]): Principal | undefined {
  if (claims === undefined) return undefined;
  return principal({ $case: 'metadata', value: claimOrMember(claims, anyValue(values.map((value) => stringValue(valueMatcher(value))))) });
}

function header(key: string, values: readonly string[]): Principal | undefined {
  const name = /^request\.headers\[(.*)\]$/.exec(key)?.[1];
  return name === undefined ? undefined : oneOf(values.map((value) => principal({ $case: 'header', value: headerValue(name, value) })));
}

/** "[a][b]" → a, b; brackets that do not pair up are part of one name. */
function claimPath(text: string): string[] | undefined {
  if (/^(\[[^[\]]*\])+$/.test(text)) return text.slice(1, -1).split('][');
  return /^\[.*\]$/.test(text) ? [text.slice(1, -1)] : undefined;
}

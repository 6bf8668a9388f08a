/** The mesh's trust domain and its former names, which mean the same in policies. */
export interface TrustDomains {
  /** Principals with those that differ from them by an alias of the trust domain. */
  readonly principals: (values: readonly string[]) => readonly string[];
  /** Trust domains with their aliases. */
  readonly names: (values: readonly string[]) => readonly string[];
}

/** What "cluster.local" always stands for in a policy: the mesh's own trust domain. */
const localDomain = 'cluster.local';

/** Source: Istio's trustdomain bundle. */
export function trustDomainsOf({ trustDomain, trustDomainAliases }: { readonly trustDomain: string; readonly trustDomainAliases: readonly string[] }): TrustDomains {
  const domains = [trustDomain, ...trustDomainAliases];
  return {
    principals: (values) => values.flatMap((value) => withAliases(value, domains)),
    names: (values) => [...new Set(values.flatMap((value) => (domains.includes(value) ? domains : [value])))],
  };
}

function withAliases(principal: string, domains: readonly string[]): readonly string[] {
  const [written = '', ...rest] = principal.split('/');
  // not of the form domain/ns/namespace/sa/account, or of any domain: nothing to replace
  if (rest.length !== 4 || written === '*') return [principal];
  if (written !== localDomain && !domains.some((domain) => covers(written, domain))) return [principal];
  // "*-td" covers several of them as it is
  return [...new Set(domains.map((domain) => (endsLike(domain, written) ? principal : [domain, ...rest].join('/'))))];
}

/** "*-td", "td-*" or a name itself. */
function covers(pattern: string, domain: string): boolean {
  if (pattern === '*') return true;
  if (pattern.startsWith('*')) return domain.endsWith(pattern.slice(1));
  return pattern.endsWith('*') ? domain.startsWith(pattern.slice(0, -1)) : pattern === domain;
}

function endsLike(domain: string, pattern: string): boolean {
  return pattern.startsWith('*') && domain.endsWith(pattern.slice(1));
}

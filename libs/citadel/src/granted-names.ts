import { ok, type Result } from '@meltemi/base';
import { controlPlaneId, formatSpiffeId, parseSpiffeId, type SigningRequest, type SpiffeId } from '@meltemi/identity';
import type { Caller } from './callers/caller.ts';
import { controlPlaneNames } from './control-plane-names.ts';
import { refuse, type CitadelError } from './errors.ts';

/** What a certificate will say its holder is. */
export interface GrantedNames {
  readonly id: SpiffeId;
  readonly dnsNames: readonly string[];
  readonly ips: readonly string[];
}

export interface GrantPolicy {
  readonly trustDomain: string;
  /** SPIFFE ids that may ask for any identity of the trust domain: authorities that sign through this one. */
  readonly registrationAuthorities: ReadonlySet<string>;
}

/** The identity of a request must be one of the caller's own, or absent when there is but one; what is granted beyond it is decided here. */
export function grantedNames(csr: SigningRequest, caller: Pick<Caller, 'ids'>, policy: GrantPolicy): Result<GrantedNames, CitadelError> {
  const own = caller.ids.map(formatSpiffeId);
  const mayAnything = own.some((id) => policy.registrationAuthorities.has(id));
  const [asked, ...others] = csr.uris;
  const id = asked === undefined ? onlyOne(caller.ids) : (caller.ids[own.indexOf(asked)] ?? (mayAnything ? ofTrustDomain(asked, policy.trustDomain) : undefined));
  if (!id && asked === undefined) return refuse('request', 'denied', `the caller may be ${own.join(' or ')}: the request must name one of them`);
  if (!id || others.length > 0) return refuse('request', 'denied', `the request asks for ${JSON.stringify(others.length > 0 ? csr.uris.slice(0, 5) : asked)}, but the caller is ${own.join(' or ')}: ask for that, or leave the name out`);
  if (!mayAnything && formatSpiffeId(id) === formatSpiffeId(controlPlaneId(policy.trustDomain, 'citadel'))) return refuse('request', 'denied', 'this is citadel itself; whoever had its certificate could answer in its place');
  const granted = controlPlaneNames(id);
  const extra = [...csr.dnsNames.filter((name) => !granted.dnsNames.includes(name)), ...csr.ips.filter((ip) => !granted.ips.includes(ip))];
  if (extra.length > 0) return refuse('request', 'denied', `the request asks for names that ${formatSpiffeId(id)} may not have: ${extra.slice(0, 5).join(', ')}`);
  return ok({ id, ...granted });
}

function onlyOne([first, ...more]: Caller['ids']): SpiffeId | undefined {
  return more.length === 0 ? first : undefined;
}

function ofTrustDomain(text: string, trustDomain: string): SpiffeId | undefined {
  const id = parseSpiffeId(text);
  return id.ok && id.value.trustDomain === trustDomain ? id.value : undefined;
}

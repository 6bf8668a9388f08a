import { isIpAddress } from './addresses.ts';

const label = /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/;
const wildcardLabel = /^(?:\*|(?:\*-?)?[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?)$/;

/** Istio's reading of a DNS-1123 label: capitals are allowed. */
export function isDnsLabel(text: string): boolean {
  return text.length <= 63 && label.test(text);
}

/** Why it is not a fully qualified (or short) domain name, without wildcards. */
export function fqdnReason(name: string): string | undefined {
  return lengthReason(name) ?? labelsReason(name, name);
}

/** Why it is not a domain name whose first label may be a wildcard: reviews, *.example.com, *. */
export function wildcardDomainReason(name: string): string | undefined {
  const [first = '', ...rest] = name.split('.');
  const reason = lengthReason(name);
  if (reason !== undefined) return reason;
  if (first.length > 63 || !wildcardLabel.test(first)) return `"${name}" is not a host name: its first label "${first}" must be "*" or of letters, digits and "-"`;
  return rest.length === 0 ? undefined : labelsReason(rest.join('.'), name);
}

/** A host of a VirtualService, DestinationRule or route destination: domain name or IP address. */
export function hostOrIpReason(name: string): string | undefined {
  return isIpAddress(name) ? undefined : wildcardDomainReason(name);
}

/** Why "*-foo.com" and "*foo.com" are not allowed where only "*" and "*.foo.com" are. */
export function partialWildcardReason(name: string): string | undefined {
  return name.includes('*') && name !== '*' && !name.startsWith('*.') ? `"${name}" has a partial wildcard: write "*" or "*.domain"` : undefined;
}

/** The names a gateway's automatic passthrough listens for: outbound_.PORT_.SUBSET_.HOST. */
export function isAutoPassthroughSni(name: string): boolean {
  const parts = name.split('_');
  return parts[0] === 'outbound' && parts.length >= 4 && /\d/.test(parts[1] ?? '') && /[a-zA-Z]/.test(parts[3] ?? '');
}

/** "ns/dnsName" of a Sidecar's egress, or with `gateway` of a Gateway server, where the namespace may also be left out. */
export function scopedHostReason(text: string, of: 'gateway' | 'sidecar'): string | undefined {
  const slash = text.indexOf('/');
  if (slash < 0) return of === 'gateway' ? hostPartReason(text, of) : `"${text}" must be of the form namespace/dnsName, like "./*" or "prod/reviews.prod.svc.cluster.local"`;
  const [namespace, host] = [text.slice(0, slash), text.slice(slash + 1)];
  if (namespace === '' || host === '') return `"${text}" must have a namespace before and a name after the "/"`;
  const excluded = of === 'sidecar' && namespace.startsWith('~') ? namespace.slice(1) : namespace;
  const namespaceOk = excluded === '*' || excluded === '.' || isDnsLabel(excluded) || (of === 'sidecar' && excluded === '');
  if (!namespaceOk) return `"${namespace}" is not a namespace: write a name, "." or "*"`;
  return hostPartReason(host, of);
}

/** True when a request for `b` could be one for `a`: equal, or one's wildcard covers the other. */
export function hostsOverlap(a: string, b: string): boolean {
  if (a.startsWith('*')) return b.startsWith('*') ? a.endsWith(b.slice(1)) || b.endsWith(a.slice(1)) : b.endsWith(a.slice(1));
  return b.startsWith('*') ? a.endsWith(b.slice(1)) : a === b;
}

/** True when everything `inner` names is also named by `outer`. */
export function hostIsSubset(inner: string, outer: string): boolean {
  if (!outer.startsWith('*')) return inner === outer;
  const suffix = outer.slice(1);
  return inner.startsWith('*') ? inner.length >= outer.length && inner.slice(1).endsWith(suffix) : inner.endsWith(suffix);
}

function hostPartReason(host: string, of: 'gateway' | 'sidecar'): string | undefined {
  if (of === 'gateway' && isIpAddress(host)) return undefined;
  if (host !== '*' && !host.includes('.')) return `"${host}" is a short name: write the full name, like "${host}.default.svc.cluster.local"`;
  return wildcardDomainReason(host) ?? partialWildcardReason(host);
}

function lengthReason(name: string): string | undefined {
  if (name === '') return 'must not be empty';
  return name.length > 255 ? `is longer than 255 characters` : undefined;
}

function labelsReason(name: string, whole: string): string | undefined {
  const labels = name.split('.');
  if (/^[+-]?\d+$/.test(labels.at(-1) ?? '')) return `"${whole}" is not a host name: the last label must not be a number`;
  if (labels.at(-1) === '' && labels.length > 1) labels.pop();
  const bad = labels.find((one) => !isDnsLabel(one));
  return bad === undefined ? undefined : `"${whole}" is not a host name: the label "${bad}" must be 1–63 letters, digits or "-"`;
}

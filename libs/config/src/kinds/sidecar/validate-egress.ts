import type { Findings } from '../../rules/findings.ts';
import { scopedHostReason } from '../../rules/hosts.ts';
import { item } from '../../schema/schema.ts';
import type { IstioEgressListener } from './types.ts';
import { checkListener } from './validate-listener.ts';

export function checkEgress(listeners: readonly IstioEgressListener[], namespace: string, findings: Findings): void {
  const taken = new Set<number | string>();
  for (const [i, listener] of listeners.entries()) {
    const path = item('spec.egress', i);
    const { port } = listener;
    if (!port && i !== listeners.length - 1) findings.error(path, 'a listener without port takes what others leave, so there can be one and it must be the last');
    if (port) {
      checkListener({ port, bind: listener.bind }, { path, findings, unixAllowed: true });
      if (port.number === 0 && listener.captureMode === 'IPTABLES') findings.error(`${path}.captureMode`, 'must be DEFAULT or NONE for a Unix domain socket');
      const place = port.number === 0 ? listener.bind : port.number;
      if (taken.has(place)) findings.error(`${path}.port`, `${place} has a listener already`);
      taken.add(place);
    }
    if (listener.hosts.length === 0) findings.error(`${path}.hosts`, 'needs at least one host, like "./*"');
    for (const [j, host] of listener.hosts.entries()) findings.check(item(`${path}.hosts`, j), scopedHostReason(host, 'sidecar'));
    warnDuplicates(listener.hosts, namespace, { path: `${path}.hosts`, findings });
  }
}

function warnDuplicates(hosts: readonly string[], namespace: string, { path, findings }: { path: string; findings: Findings }): void {
  const seen = new Map<string, Set<string>>();
  for (const [i, host] of hosts.entries()) {
    const slash = host.indexOf('/');
    if (slash < 0 || host.startsWith('~')) continue;
    const scope = host.slice(0, slash) === '.' ? namespace : host.slice(0, slash);
    const name = host.slice(slash + 1);
    const names = seen.get(scope) ?? new Set<string>();
    if (names.has(name) || names.has('*') || (name === '*' && names.size > 0)) findings.warn(item(path, i), `"${host}" overlaps an earlier host`);
    seen.set(scope, names.add(name));
  }
  if (seen.get('*')?.has('*') === true && seen.size > 1) findings.warn(path, '"*/*" covers everything, so no other host is needed');
}

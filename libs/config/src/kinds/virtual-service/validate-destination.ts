import { portReason } from '../../rules/addresses.ts';
import type { Findings } from '../../rules/findings.ts';
import { isDnsLabel, wildcardDomainReason } from '../../rules/hosts.ts';
import { item } from '../../schema/schema.ts';
import type { Destination } from '../types.ts';

export function checkDestination(destination: Destination, path: string, findings: Findings): void {
  const { host, subset, port } = destination;
  findings.check(`${path}.host`, host === '*' ? '"*" is not a destination: name a service' : wildcardDomainReason(host));
  if (subset !== '') findings.check(`${path}.subset`, subsetNameReason(subset));
  if (port) findings.check(`${path}.port.number`, portReason(port.number));
}

/** Why it cannot name a subset of a DestinationRule. */
export function subsetNameReason(name: string): string | undefined {
  return isDnsLabel(name) ? undefined : `"${name}" is not a subset name: 1–63 letters, digits or "-"`;
}

/** Weights are shares of their sum; a single destination needs none. */
export function checkWeights(routes: readonly { readonly weight: number }[], path: string, findings: Findings): void {
  let total = 0;
  for (const [i, { weight }] of routes.entries()) {
    if (weight < 0) findings.error(`${item(path, i)}.weight`, `must not be negative, found ${weight}`);
    total += weight;
  }
  if (routes.length > 1 && total === 0) findings.error(path, 'the weights of several destinations must not all be 0');
}

import { addressWithoutPort } from '@meltemi/http';
import { parseIp } from '@meltemi/match';
import type { HcmConfig } from '@meltemi/snapshot';

/** Where a request really came from, by Envoy's rules for x-forwarded-for. */
export interface Origin {
  /** The client's address without port; "" when x-forwarded-for does not tell. */
  readonly address: string;
  /** x-forwarded-for named no other hop. */
  readonly single: boolean;
}

/** The trusted client address: the `hops`-th from the right of x-forwarded-for. */
export function originOf(forwardedFor: string | null, hops: number): Origin {
  if (forwardedFor === null) return { address: '', single: false };
  const parts = forwardedFor.split(',');
  const entry = parts[parts.length - 1 - hops]?.trim() ?? '';
  const address = addressWithoutPort(entry);
  return parseIp(address) === null ? { address: '', single: false } : { address, single: parts.length === 1 };
}

/** x-envoy-internal's idea of an address: the configured ranges. As in Envoy since 1.33 none is without: a balancer in front has a private address, too. */
export function isInternalAddress(config: HcmConfig, address: string): boolean {
  return config.internalAddresses !== null && config.internalAddresses.contains(address);
}

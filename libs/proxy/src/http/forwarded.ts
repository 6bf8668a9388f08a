import { addressWithoutPort } from '@meltemi/http';
import { inCidr, parseIp } from '@meltemi/match';
import type { HcmConfig } from '@meltemi/snapshot';

const privateRanges: readonly (readonly [string, number])[] = [
  ['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['127.0.0.0', 8], ['::1', 128], ['fc00::', 7],
];
const parsedRanges = privateRanges.map(([address, length]) => ({ bytes: parseIp(address) ?? new Uint8Array(), length }));

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

/** x-envoy-internal's idea of an address: the configured ranges, else private and loopback ones. */
export function isInternalAddress(config: HcmConfig, address: string): boolean {
  const bytes = parseIp(address);
  if (bytes === null) return false;
  return config.internalAddresses === null ? parsedRanges.some((range) => inCidr(bytes, range)) : config.internalAddresses.contains(address);
}

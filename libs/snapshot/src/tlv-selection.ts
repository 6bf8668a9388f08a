import type { ProxyProtocolPassThroughTLVs } from '@meltemi/api/gen/envoy/config/core/v3/proxy_protocol.ts';
import type { TlvSelection } from './listener-types.ts';

/** None unless asked for; INCLUDE_ALL is the message's default. */
export function compileTlvs(message: ProxyProtocolPassThroughTLVs | undefined): TlvSelection {
  if (message === undefined) return [];
  return message.matchType === 0 ? 'all' : message.tlvType;
}

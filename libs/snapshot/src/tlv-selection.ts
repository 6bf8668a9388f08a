import { PerHostConfig, type ProxyProtocolPassThroughTLVs, type TlvEntry } from '@meltemi/api/gen/envoy/config/core/v3/proxy_protocol.ts';
import type { Metadata } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import type { Report } from '@meltemi/route';
import type { TlvSelection } from './listener-types.ts';

/** An extra value of a PROXY header of version 2. */
export interface AddedTlv {
  /** 0 to 255. */
  readonly type: number;
  readonly value: Buffer;
}

/** None unless asked for; INCLUDE_ALL is the message's default. */
export function compileTlvs(message: ProxyProtocolPassThroughTLVs | undefined): TlvSelection {
  if (message === undefined) return [];
  return message.matchType === 0 ? 'all' : message.tlvType;
}

export function compileAddedTlvs(entries: readonly TlvEntry[], path: string, report: Report): readonly AddedTlv[] {
  return entries.map(({ type, value, formatString }, i) => {
    if (type > 255) report.refuse(`${path}[${i}].type`, 'must be less than 256');
    if (formatString) report.refuse(`${path}[${i}].format_string`, 'is not supported: give value');
    return { type, value };
  });
}

/** Those that an endpoint's metadata adds for its own connections. */
export function compileHostTlvs(metadata: Metadata | undefined, path: string, report: Report): readonly AddedTlv[] {
  const any = metadata?.typedFilterMetadata['envoy.transport_sockets.proxy_protocol'];
  if (any?.typeUrl !== 'type.googleapis.com/envoy.config.core.v3.PerHostConfig') return [];
  const at = `${path}.metadata.typed_filter_metadata["envoy.transport_sockets.proxy_protocol"].added_tlvs`;
  try {
    return compileAddedTlvs(PerHostConfig.decode(any.value).addedTlvs, at, report);
  } catch (cause) {
    report.refuse(at, `cannot be decoded: ${cause instanceof Error ? cause.message : String(cause)}`);
    return [];
  }
}

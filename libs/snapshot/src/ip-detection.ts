import { CustomHeaderConfig } from '@meltemi/api/gen/envoy/extensions/http/original_ip_detection/custom_header/v3/custom_header.ts';
import { XffConfig } from '@meltemi/api/gen/envoy/extensions/http/original_ip_detection/xff/v3/xff.ts';
import type { HttpConnectionManager } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { compileCidrs, type CidrSet } from '@meltemi/match';
import type { Report } from '@meltemi/route';
import { decodeAt } from './context.ts';

/** One way to find out who a request really comes from, where use_remote_address is off. */
export type IpDetector = ForwardedForDetector | FieldDetector;

/** The entry of x-forwarded-for that many hops from the right, or the last that is no proxy of ours. */
export interface ForwardedForDetector {
  readonly kind: 'forwarded-for';
  readonly hops: number;
  /** Proxies whose word counts; null = `hops` says. */
  readonly proxies: CidrSet | null;
  /** The peer is added to x-forwarded-for. */
  readonly appends: boolean;
}

/** A field that somebody in front sets to the client's address. */
export interface FieldDetector {
  readonly kind: 'field';
  readonly name: string;
  /** The address may be an internal one. */
  readonly trusted: boolean;
  /** What a request without it is answered; null = the next detector is asked. */
  readonly refusal: number | null;
}

const base = 'type.googleapis.com/envoy.extensions.http.original_ip_detection';

/** Compiles original_ip_detection_extensions, in their order. */
export function compileIpDetection(message: HttpConnectionManager, path: string, report: Report): readonly IpDetector[] {
  const given = message.originalIpDetectionExtensions;
  const at = `${path}.original_ip_detection_extensions`;
  if (given.length > 0 && (message.useRemoteAddress === true || message.xffNumTrustedHops > 0)) report.refuse(at, 'does not go with use_remote_address or xff_num_trusted_hops');
  return given.flatMap(({ typedConfig: any }, i) => {
    const where = `${at}[${i}].typed_config`;
    const found = any?.typeUrl === `${base}.xff.v3.XffConfig` ? forwardedFor(any.value, where, report) : any?.typeUrl === `${base}.custom_header.v3.CustomHeaderConfig` ? field(any.value, where, report) : undefined;
    if (found === undefined) report.refuse(where, `${any?.typeUrl ?? 'nothing'} is no detection of this proxy: there are xff and custom_header`);
    return found ?? [];
  });
}

function forwardedFor(bytes: Uint8Array, path: string, report: Report): IpDetector | null {
  const config = decodeAt(XffConfig, bytes, path, report);
  if (!config) return null;
  const { xffNumTrustedHops: hops, xffTrustedCidrs: trusted, skipXffAppend } = config;
  if (trusted && hops > 0) report.refuse(`${path}.xff_trusted_cidrs`, 'does not go with xff_num_trusted_hops');
  const proxies = trusted && trusted.cidrs.length > 0 ? report.take(compileCidrs(trusted.cidrs, `${path}.xff_trusted_cidrs.cidrs`), null) : null;
  return { kind: 'forwarded-for', hops, proxies, appends: skipXffAppend === false };
}

function field(bytes: Uint8Array, path: string, report: Report): IpDetector | null {
  const config = decodeAt(CustomHeaderConfig, bytes, path, report);
  if (!config) return null;
  if (config.headerName === '') report.refuse(`${path}.header_name`, 'is required');
  const code = config.rejectWithStatus?.code;
  const refusal = code === undefined ? null : code >= 400 && code <= 511 ? code : 403;
  return { kind: 'field', name: config.headerName.toLowerCase(), trusted: config.allowExtensionToSetAddressAsTrusted, refusal };
}

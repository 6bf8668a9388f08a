import { type ResponseFlags, ResponseFlags_Unauthorized_Reason } from '@meltemi/api/gen/envoy/data/accesslog/v3/accesslog.ts';

type Flag = Exclude<keyof ResponseFlags, 'unauthorizedDetails'>;

/** Short names as Envoy's %RESPONSE_FLAGS% prints them. Source: Envoy, access log response flags. */
const shortNames: readonly (readonly [Flag, string])[] = [
  ['failedLocalHealthcheck', 'LH'],
  ['noHealthyUpstream', 'UH'],
  ['upstreamRequestTimeout', 'UT'],
  ['localReset', 'LR'],
  ['upstreamRemoteReset', 'UR'],
  ['upstreamConnectionFailure', 'UF'],
  ['upstreamConnectionTermination', 'UC'],
  ['upstreamOverflow', 'UO'],
  ['noRouteFound', 'NR'],
  ['delayInjected', 'DI'],
  ['faultInjected', 'FI'],
  ['rateLimited', 'RL'],
  ['rateLimitServiceError', 'RLSE'],
  ['downstreamConnectionTermination', 'DC'],
  ['upstreamRetryLimitExceeded', 'URX'],
  ['streamIdleTimeout', 'SI'],
  ['invalidEnvoyRequestHeaders', 'IH'],
  ['downstreamProtocolError', 'DPE'],
  ['upstreamMaxStreamDurationReached', 'UMSDR'],
  ['responseFromCacheFilter', 'RFCF'],
  ['noFilterConfigFound', 'NFCF'],
  ['durationTimeout', 'DT'],
  ['upstreamProtocolError', 'UPE'],
  ['noClusterFound', 'NC'],
  ['overloadManager', 'OM'],
  ['dnsResolutionFailure', 'DF'],
  ['downstreamRemoteReset', 'DR'],
];

/** "UF,URX", or "-" when nothing is wrong. */
export function formatResponseFlags(flags: ResponseFlags | undefined): string {
  if (!flags) return '-';
  const set = shortNames.filter(([name]) => flags[name]).map(([, short]) => short);
  if (flags.unauthorizedDetails?.reason === ResponseFlags_Unauthorized_Reason.EXTERNAL_SERVICE) set.push('UAEX');
  return set.length === 0 ? '-' : set.join(',');
}

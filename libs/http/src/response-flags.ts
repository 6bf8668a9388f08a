/** Envoy's response flags as bits of one integer, named by their short names. Bits are ours, names are Envoy's. */
export const ResponseFlag = {
  LH: 1 << 0, UH: 1 << 1, UT: 1 << 2, LR: 1 << 3, UR: 1 << 4, UF: 1 << 5, UC: 1 << 6, UO: 1 << 7, NR: 1 << 8, DI: 1 << 9,
  FI: 1 << 10, RL: 1 << 11, UAEX: 1 << 12, RLSE: 1 << 13, DC: 1 << 14, URX: 1 << 15, SI: 1 << 16, IH: 1 << 17, DPE: 1 << 18,
  UMSDR: 1 << 19, RFCF: 1 << 20, NFCF: 1 << 21, DT: 1 << 22, UPE: 1 << 23, NC: 1 << 24, OM: 1 << 25, DF: 1 << 26, DO: 1 << 27, DR: 1 << 28,
} as const;

/** A response flag's short name. */
export type ResponseFlagName = keyof typeof ResponseFlag;

/** Short name and the long name that %RESPONSE_FLAGS_LONG% prints, in the order Envoy prints them. */
export const responseFlagNames: readonly (readonly [ResponseFlagName, string])[] = [
  ['LH', 'FailedLocalHealthCheck'], ['UH', 'NoHealthyUpstream'], ['UT', 'UpstreamRequestTimeout'], ['LR', 'LocalReset'],
  ['UR', 'UpstreamRemoteReset'], ['UF', 'UpstreamConnectionFailure'], ['UC', 'UpstreamConnectionTermination'], ['UO', 'UpstreamOverflow'],
  ['NR', 'NoRouteFound'], ['DI', 'DelayInjected'], ['FI', 'FaultInjected'], ['RL', 'RateLimited'], ['UAEX', 'UnauthorizedExternalService'],
  ['RLSE', 'RateLimitServiceError'], ['DC', 'DownstreamConnectionTermination'], ['URX', 'UpstreamRetryLimitExceeded'],
  ['SI', 'StreamIdleTimeout'], ['IH', 'InvalidEnvoyRequestHeaders'], ['DPE', 'DownstreamProtocolError'],
  ['UMSDR', 'UpstreamMaxStreamDurationReached'], ['RFCF', 'ResponseFromCacheFilter'], ['NFCF', 'NoFilterConfigFound'],
  ['DT', 'DurationTimeout'], ['UPE', 'UpstreamProtocolError'], ['NC', 'NoClusterFound'], ['OM', 'OverloadManagerTerminated'],
  ['DF', 'DnsResolutionFailed'], ['DO', 'DropOverload'], ['DR', 'DownstreamRemoteReset'],
];

const shortText = new Map<number, string>();

/** "UF,URX" or "-" when no flag is set. Combinations are few, so each text is built once. @hot */
export function formatResponseFlags(flags: number): string {
  if (flags === 0) return '-';
  let text = shortText.get(flags);
  if (text === undefined) {
    text = join(flags, 0);
    if (shortText.size < 1024) shortText.set(flags, text);
  }
  return text;
}

/** Like formatResponseFlags, with long names. */
export function formatResponseFlagsLong(flags: number): string {
  return flags === 0 ? '-' : join(flags, 1);
}

function join(flags: number, column: 0 | 1): string {
  return responseFlagNames.filter(([name]) => (flags & ResponseFlag[name]) !== 0).map((entry) => entry[column]).join(',');
}

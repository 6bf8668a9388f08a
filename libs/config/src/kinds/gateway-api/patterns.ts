import { duration } from '../../schema/scalars.ts';
import { mismatch, type Schema } from '../../schema/schema.ts';
import type { DurationMs } from '../types.ts';

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const patterns = {
  subdomain: new RegExp(`^${subdomain}$`),
  hostname: new RegExp(`^(\\*\\.)?${subdomain}$`),
  namespace: new RegExp(`^${label}$`),
  kind: /^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$/,
  headerName: /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/,
  headerValue: /^[!-~]+([\t ]?[!-~]+)*$/,
  controller: new RegExp(`^${subdomain}/[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+$`),
} as const;

const meanings: Readonly<Record<keyof typeof patterns, string>> = {
  subdomain: 'a DNS name of small letters, digits, "-" and "."',
  hostname: 'a host name of small letters, "*." only in front',
  namespace: 'a namespace: 1–63 small letters, digits or "-"',
  kind: 'the name of a kind',
  headerName: 'a header name: letters, digits and !#$%&\'*+-.^_`|~',
  headerValue: 'a header value: visible ASCII, no space at its ends',
  controller: 'a controller name, like "istio.io/gateway-controller"',
};

/** Why a text is not what the CRD's pattern asks for. */
export function patternReason(text: string, wanted: keyof typeof patterns): string | undefined {
  return patterns[wanted].test(text) ? undefined : `${JSON.stringify(text)} is not ${meanings[wanted]}`;
}

const durationPattern = /^([0-9]{1,5}(h|m|s|ms)){1,4}$/;

/** "10s", "1h30m": whole numbers only. */
export function gatewayDuration(): Schema<DurationMs> {
  const inner = duration();
  return {
    ...inner,
    decode(input, path, errors) {
      if (typeof input === 'string' && durationPattern.test(input)) return inner.decode(input, path, errors);
      mismatch(errors, path, 'a duration of whole numbers with their units, like "10s" or "1m30s"', input);
      return 0;
    },
  };
}

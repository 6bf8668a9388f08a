import { fail, ok, type FieldError, type Result, err } from '@meltemi/base';
import { parse } from 'yaml';
import { isMap, isUnknownField } from '../../schema/containers.ts';
import { proxyConfig } from './proxy-config.ts';
import type { ProxyConfig } from './types.ts';

/** Longest text read. */
const maxLength = 65_536;

/** `base` with the fields of `written` (JSON, or YAML text as in the annotation proxy.istio.io/config) in their place; proxyMetadata is merged, and fields nobody knows are left out, as in Istio. */
export function overlaidProxyConfig(base: ProxyConfig, written: unknown): Result<ProxyConfig> {
  const json = typeof written === 'string' ? parsed(written) : ok<unknown>(written);
  if (!json.ok) return json;
  if (!isMap(json.value)) return fail('', 'must be a map of ProxyConfig fields');
  const errors: FieldError[] = [];
  const given = proxyConfig.decode(json.value, '', errors);
  const wrong = errors.filter((error) => !isUnknownField(error));
  if (wrong.length > 0) return err(wrong);
  const names = new Set(Object.keys(json.value).map((name) => name.replace(/_([a-z0-9])/g, (_, char: string) => char.toUpperCase())));
  const fields = Object.fromEntries(Object.entries(given).filter(([name]) => names.has(name)));
  return ok({ ...base, ...fields, proxyMetadata: { ...base.proxyMetadata, ...given.proxyMetadata } });
}

function parsed(text: string): Result<unknown> {
  if (text.length > maxLength) return fail('', `is longer than ${maxLength} characters`);
  try {
    return ok<unknown>(parse(text));
  } catch (cause) {
    return fail('', `is not YAML: ${cause instanceof Error ? cause.message : String(cause)}`);
  }
}

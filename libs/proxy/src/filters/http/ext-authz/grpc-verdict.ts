import type { HeaderValueOption } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { CheckResponse, type DeniedHttpResponse } from '@meltemi/api/gen/envoy/service/auth/v3/external_auth.ts';
import { framesMessages } from './mutations.ts';
import { failed, type HeaderChange, type Verdict } from './verdict.ts';

const defaultDeniedStatus = 403;

/** Reads the answer of the gRPC service; one that cannot be read is an error. */
export function decodeVerdict(bytes: Uint8Array): Verdict {
  let response: CheckResponse;
  try {
    response = CheckResponse.decode(bytes);
  } catch {
    return failed;
  }
  const { httpResponse } = response;
  const ok = httpResponse?.$case === 'okResponse' ? httpResponse.value : null;
  const metadata = ok?.dynamicMetadata ?? response.dynamicMetadata ?? null;
  if ((response.status?.code ?? 0) !== 0) return denied(httpResponse?.$case === 'deniedResponse' ? httpResponse.value : null, metadata);
  return {
    kind: 'ok', metadata,
    request: (ok?.headers ?? []).map((option) => change(option, 'overwrite')),
    remove: (ok?.headersToRemove ?? []).map((name) => name.toLowerCase()),
    setParams: (ok?.queryParametersToSet ?? []).map(({ key, value }) => [key, value] as const),
    removeParams: ok?.queryParametersToRemove ?? [],
    response: (ok?.responseHeadersToAdd ?? []).map((option) => change(option, 'append')),
  };
}

function denied(response: DeniedHttpResponse | null, metadata: Readonly<Record<string, unknown>> | null): Verdict {
  const code: number = response?.status?.code ?? 0;
  return {
    kind: 'denied', metadata,
    status: code >= 200 && code <= 599 ? code : defaultDeniedStatus,
    body: response?.body ?? '',
    headers: (response?.headers ?? []).map((option) => change(option, 'append')).filter(({ name }) => !framesMessages(name)).map(({ name, value }) => [name, value] as const),
  };
}

const actions = [null, 'add-if-absent', 'overwrite', 'overwrite-if-exists'] as const;

/**
 * `append` says append or overwrite; without it append_action does, whose default cannot be told from unset: then requests' fields are
 * overwritten, so that no client's own remains, and responses' added, as Envoy documents both.
 */
function change({ header, append, appendAction }: HeaderValueOption, unset: 'append' | 'overwrite'): HeaderChange {
  const value = header === undefined ? '' : header.rawValue.length > 0 ? header.rawValue.toString('latin1') : Buffer.from(header.value).toString('latin1');
  const action = append === undefined ? (actions[appendAction as 0 | 1 | 2 | 3] ?? unset) : append ? 'append' : 'overwrite';
  return { name: (header?.key ?? '').toLowerCase(), value, action };
}

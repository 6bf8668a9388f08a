import { fail, ok, type Result } from '@meltemi/base';
import { HttpRequestHeaderMatchInput } from '@meltemi/api/gen/envoy/type/matcher/v3/http_inputs.ts';
import { addressWithoutPort, fieldNameOf, fromWire, portOf, type RequestHead, type StreamInfo, type TlsInfo } from '@meltemi/http';
import type { MatcherKind } from './compile-matcher.ts';
import type { MatchInput } from './match-tree.ts';

type StreamInputs = MatcherKind<StreamInfo, unknown>['inputs'];

/** Before the names of inputs that a connection has. */
export const networkInputs = 'envoy.extensions.matching.common_inputs.network.v3';
const ssl = 'envoy.extensions.matching.common_inputs.ssl.v3';
const header = 'envoy.type.matcher.v3.HttpRequestHeaderMatchInput';

/**
 * What a connection shows. Deviation: a certificate that was not verified (trust_chain_verification ACCEPT_UNTRUSTED) names nobody, because
 * anyone can make one. As in Envoy the source of a request is the client after x-forwarded-for and the PROXY protocol; the direct source is the
 * peer of the connection.
 */
export const connectionInputs: StreamInputs = {
  [`${networkInputs}.DestinationIPInput`]: fixedInput((info) => textOrNone(addressWithoutPort(info.connection.localAddress))),
  [`${networkInputs}.DestinationPortInput`]: fixedInput((info) => port(info.connection.localAddress)),
  [`${networkInputs}.SourceIPInput`]: fixedInput((info) => textOrNone(addressWithoutPort(info.downstreamRemoteAddress))),
  [`${networkInputs}.SourcePortInput`]: fixedInput((info) => port(info.downstreamRemoteAddress)),
  [`${networkInputs}.DirectSourceIPInput`]: fixedInput((info) => textOrNone(addressWithoutPort(info.connection.directRemoteAddress))),
  [`${networkInputs}.ServerNameInput`]: fixedInput((info) => textOrNone(info.connection.requestedServerName)),
  [`${ssl}.UriSanInput`]: fixedInput(({ connection: { tls } }) => names(tls, tls?.peerUriSans)),
  [`${ssl}.DnsSanInput`]: fixedInput(({ connection: { tls } }) => names(tls, tls?.peerDnsSans)),
  [`${ssl}.SubjectInput`]: fixedInput(({ connection: { tls } }) => (tls !== null && known(tls) ? textOrNone(tls.peerSubject) : null)),
};

/** What a request shows, its connection included. */
export const requestInputs: StreamInputs = {
  ...connectionInputs,
  [header]: headerInput(({ request }) => request),
};

/** What the head of a request shows by itself: all that a choice of routes may look at, as in Envoy. */
export const headInputs: MatcherKind<RequestHead, unknown>['inputs'] = {
  [header]: headerInput((request) => request),
};

function headerInput<View>(headOf: (view: View) => RequestHead | null): MatcherKind<View, unknown>['inputs'][string] {
  return (config, path): Result<MatchInput<View>> => {
    const { headerName } = HttpRequestHeaderMatchInput.decode(config);
    if (headerName === '') return fail(`${path}.header_name`, 'is required');
    const name = fieldNameOf(headerName);
    return ok((view) => {
      const value = headOf(view)?.field(name) ?? null;
      return value === null ? null : fromWire(value);
    });
  };
}

/** An input without settings. */
export function fixedInput<View>(read: MatchInput<View>): () => Result<MatchInput<View>> {
  const input = ok(read);
  return () => input;
}

/** What is empty is not there. */
export function textOrNone(value: string): string | null {
  return value === '' ? null : value;
}

function port(address: string): string | null {
  const number = portOf(address);
  return number < 0 ? null : String(number);
}

function known(tls: TlsInfo): boolean {
  return !tls.peerPresented || tls.peerValidated;
}

/** Several are joined by a comma, as in Envoy. */
function names(tls: TlsInfo | null, sans: readonly string[] | undefined): string | null {
  if (tls === null || sans === undefined || sans.length === 0 || !known(tls)) return null;
  return sans.length === 1 ? (sans[0] ?? null) : sans.join(',');
}

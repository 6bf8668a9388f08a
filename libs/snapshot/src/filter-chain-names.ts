import { fail, ok, type Result } from '@meltemi/base';
import { StringValue } from '@meltemi/api/gen/google/protobuf/wrappers.ts';
import type { TypedExtensionConfig } from '@meltemi/api/gen/xds/core/v3/extension.ts';
import type { Matcher } from '@meltemi/api/gen/xds/type/matcher/v3/matcher.ts';
import { compileMatcher, fixedInput, networkInputs as network, textOrNone, type MatcherKind } from '@meltemi/match';
import type { Report } from '@meltemi/route';
import { isLocal, type ChainEntry } from './filter-chain-match.ts';
import type { ConnectionView, FilterChain, FilterChainMatcher } from './listener-types.ts';

const field = 'filter_chain_matcher';
const stringUrl = 'type.googleapis.com/google.protobuf.StringValue';
/** What only a tls_inspector finds out. */
const ofTls = /\.(ServerName|TransportProtocol)Input$/;

/** What listener filters have found out by then. Source: the comments of network_inputs.proto. */
const inputs: MatcherKind<ConnectionView, FilterChain>['inputs'] = {
  [`${network}.DestinationIPInput`]: fixedInput((view) => textOrNone(view.destinationIp)),
  [`${network}.DestinationPortInput`]: fixedInput((view) => (view.destinationIp === '' ? null : String(view.destinationPort))),
  [`${network}.SourceIPInput`]: fixedInput((view) => textOrNone(view.sourceIp)),
  [`${network}.SourcePortInput`]: fixedInput((view) => (view.sourceIp === '' ? null : String(view.sourcePort))),
  [`${network}.DirectSourceIPInput`]: fixedInput((view) => textOrNone(view.directSourceIp)),
  [`${network}.SourceTypeInput`]: fixedInput((view) => (isLocal(view) ? 'local' : null)),
  [`${network}.ServerNameInput`]: fixedInput((view) => textOrNone(view.serverName.toLowerCase())),
  [`${network}.TransportProtocolInput`]: fixedInput((view) => textOrNone(view.transportProtocol)),
  // a list, each in quotes: 'h2','http/1.1'
  [`${network}.ApplicationProtocolInput`]: fixedInput((view) => (view.applicationProtocols.length === 0 ? null : `'${view.applicationProtocols.join("','")}'`)),
};

export interface NamedChains {
  readonly entries: readonly ChainEntry[];
  readonly defaultChain: FilterChain | null;
  readonly inspectsTls: boolean;
}

/**
 * Compiles filter_chain_matcher, whose actions name filter chains. A connection that comes to no action gets the default chain; null when there is
 * none. As in Envoy every chain needs a name of its own and its filter_chain_match is not looked at. Deviation: an action that names no chain is
 * refused, where Envoy takes it for the default chain.
 */
export function compileFilterChainNames(message: Matcher, { entries, defaultChain, inspectsTls }: NamedChains, report: Report): FilterChainMatcher {
  const chains = chainsByName(entries, report);
  let asksOfTls = false;
  const noted = Object.fromEntries(Object.entries(inputs).map(([name, compile]): [string, typeof compile] => [name, (config, at) => {
    asksOfTls ||= ofTls.test(name);
    return compile(config, at);
  }]));
  const action = ({ typedConfig }: TypedExtensionConfig, at: string): Result<FilterChain> => {
    if (typedConfig?.typeUrl !== stringUrl) return fail(`${at}.typed_config`, `must be ${stringUrl}`);
    const { value: name } = StringValue.decode(typedConfig.value);
    const chain = chains.get(name) ?? (name !== '' && defaultChain?.name === name ? defaultChain : undefined);
    return chain === undefined ? fail(`${at}.typed_config.value`, `there is no filter chain "${name}"`) : ok(chain);
  };
  const tree = report.take(compileMatcher(message, field, { inputs: noted, action }), null);
  if (asksOfTls && !inspectsTls) report.warn('listener_filters', `${field} asks for SNI or the transport protocol, which nothing finds out without a tls_inspector`);
  return { match: (view) => tree?.match(view) ?? defaultChain };
}

function chainsByName(entries: readonly ChainEntry[], report: Report): ReadonlyMap<string, FilterChain> {
  const chains = new Map<string, FilterChain>();
  for (const { match, chain, path } of entries) {
    if (chain.name === '') report.refuse(`${path}.name`, `is required beside ${field}`);
    else if (chains.has(chain.name)) report.refuse(`${path}.name`, `"${chain.name}" is there twice, and ${field} chooses by name`);
    else chains.set(chain.name, chain);
    if (match !== undefined) report.warn(`${path}.filter_chain_match`, `has no effect beside ${field}`);
  }
  return chains;
}

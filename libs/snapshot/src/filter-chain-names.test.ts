import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { compileListener, type ConnectionView } from './index.ts';

type Json = Readonly<Record<string, unknown>>;

const type = (name: string, fields: Json = {}): Json => ({ name: 'x', typed_config: { '@type': `type.googleapis.com/${name}`, ...fields } });
const input = (name: string): Json => type(`envoy.extensions.matching.common_inputs.network.v3.${name}`);
const to = (value: string): Json => ({ action: type('google.protobuf.StringValue', { value }) });
const exact = (name: string, map: Json): Json => ({ matcher_tree: { input: input(name), exact_match_map: { map } } });
const chain = (name: string, more: Json = {}): Json => ({ name, filters: [type('envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 't', cluster: 'c' })], ...more });
const inspector = { listener_filters: [type('envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector')] };
const compile = (json: Json) => compileListener(Listener.decode(jsonToBinary('envoy.config.listener.v3.Listener', { name: 'l', address: { socket_address: { address: '0.0.0.0', port_value: 1 } }, filter_chains: [chain('a'), chain('b')], ...inspector, ...json })), { networkFilters: new Map(), httpFilters: new Map(), listenerFilters: new Map(), accessLoggers: new Map() });

const seen: ConnectionView = { destinationPort: 80, destinationIp: '10.0.0.1', serverName: '', transportProtocol: 'raw_buffer', applicationProtocols: [], directSourceIp: '10.9.9.9', sourceIp: '10.9.9.9', sourcePort: 1234, localIp: '10.0.0.1' };

function chosen(json: Json): (over?: Partial<ConnectionView>) => string | undefined {
  const compiled = compile(json);
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return (over = {}) => compiled.value.value.filterChains.match({ ...seen, ...over })?.name;
}

const refused = (json: Json): string[] => {
  const compiled = compile(json);
  return compiled.ok ? [] : compiled.error.map(({ path }) => path);
};
const warned = (json: Json): string[] => {
  const compiled = compile(json);
  return compiled.ok ? compiled.value.warnings.map(({ path }) => path) : ['refused'];
};

test('a chain is chosen by each thing a connection shows', () => {
  const cases: [string, string, Partial<ConnectionView>, Partial<ConnectionView>][] = [
    ['DestinationIPInput', '10.0.0.1', {}, { destinationIp: '10.0.0.2' }],
    ['DestinationPortInput', '80', {}, { destinationPort: 8 }],
    ['SourceIPInput', '10.1.1.1', { sourceIp: '10.1.1.1' }, { directSourceIp: '10.1.1.1' }],
    ['SourcePortInput', '1234', {}, { sourcePort: 1 }],
    ['DirectSourceIPInput', '10.1.1.1', { directSourceIp: '10.1.1.1' }, { sourceIp: '10.1.1.1' }],
    ['SourceTypeInput', 'local', { sourceIp: '127.0.0.1' }, {}],
    ['SourceTypeInput', 'local', { sourceIp: '10.0.0.1' }, { sourceIp: '10.0.0.2' }],
    ['ServerNameInput', 'a.example', { serverName: 'a.example' }, { serverName: 'b.a.example' }],
    ['TransportProtocolInput', 'tls', { transportProtocol: 'tls' }, {}],
    ['TransportProtocolInput', 'raw_buffer', {}, { transportProtocol: 'tls' }],
    ['ApplicationProtocolInput', "'h2','http/1.1'", { applicationProtocols: ['h2', 'http/1.1'] }, { applicationProtocols: ['h2'] }],
  ];
  for (const [name, key, held, other] of cases) {
    const choose = chosen({ filter_chain_matcher: { ...exact(name, { [key]: to('a') }), on_no_match: to('b') } });
    assert.deepEqual([choose(held), choose(other)], ['a', 'b'], `${name} ${key}`);
  }
});

test('what is not known matches nothing', () => {
  for (const [name, over] of [['ServerNameInput', {}], ['ApplicationProtocolInput', {}], ['DestinationIPInput', { destinationIp: '' }], ['DestinationPortInput', { destinationIp: '', destinationPort: 0 }], ['SourcePortInput', { sourceIp: '', sourcePort: 0 }]] as const) {
    assert.equal(chosen({ filter_chain_matcher: { matcher_tree: { input: input(name), prefix_match_map: { map: { '': to('a') } } } } })(over), undefined, name);
  }
});

test('nothing matched: the default chain, or none', () => {
  const filter_chain_matcher = exact('DestinationPortInput', { 1: to('a') });
  assert.equal(chosen({ filter_chain_matcher })(), undefined);
  const choose = chosen({ filter_chain_matcher, default_filter_chain: chain('else') });
  assert.deepEqual([choose(), choose({ destinationPort: 1 })], ['else', 'a']);
  assert.equal(chosen({ filter_chain_matcher: exact('DestinationPortInput', { 80: to('else') }), default_filter_chain: chain('else') })(), 'else');
});

test('filter_chain_match has no effect beside a matcher', () => {
  const json = { filter_chain_matcher: exact('DestinationPortInput', { 80: to('a'), 81: to('b') }), filter_chains: [chain('a', { filter_chain_match: { destination_port: 81 } }), chain('b')] };
  assert.deepEqual([chosen(json)(), chosen(json)({ destinationPort: 81 })], ['a', 'b']);
  assert.deepEqual(warned(json), ['filter_chains[0].filter_chain_match']);
});

test('a matcher that reads what only a tls_inspector finds out is warned of where there is none', () => {
  for (const name of ['ServerNameInput', 'TransportProtocolInput']) {
    const filter_chain_matcher = exact(name, { x: to('a') });
    assert.deepEqual(warned({ filter_chain_matcher, listener_filters: [] }), ['listener_filters'], name);
    assert.deepEqual(warned({ filter_chain_matcher }), []);
  }
  assert.deepEqual(warned({ filter_chain_matcher: exact('DestinationPortInput', { 80: to('a') }), listener_filters: [] }), []);
});

test('chains without a name of their own, unknown names and other inputs and actions are refused by their paths', () => {
  const ok = { filter_chain_matcher: exact('DestinationPortInput', { 80: to('a') }) };
  const map = (value: string) => `filter_chain_matcher.matcher_tree.exact_match_map.map["80"].action.typed_config${value}`;
  assert.deepEqual(refused({ ...ok, filter_chains: [chain('a'), chain('')] }), ['filter_chains[1].name']);
  assert.deepEqual(refused({ ...ok, filter_chains: [chain('a'), chain('b'), chain('a')] }), ['filter_chains[2].name']);
  assert.deepEqual(refused({ filter_chain_matcher: exact('DestinationPortInput', { 80: to('c') }) }), [map('.value')]);
  assert.deepEqual(refused({ filter_chain_matcher: exact('DestinationPortInput', { 80: to('') }), default_filter_chain: chain('') }), [map('.value')]);
  assert.deepEqual(refused({ filter_chain_matcher: exact('DestinationPortInput', { 80: { action: type('google.protobuf.Empty') } }) }), [map('')]);
  assert.deepEqual(refused({ filter_chain_matcher: { matcher_tree: { input: type('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { header_name: 'a' }), exact_match_map: { map: { 80: to('a') } } } } }), ['filter_chain_matcher.matcher_tree.input.typed_config']);
  assert.deepEqual(refused({ filter_chain_matcher: {} }), ['filter_chain_matcher']);
});

test('an action that cannot be decoded is refused', () => {
  const message = Listener.decode(jsonToBinary('envoy.config.listener.v3.Listener', { name: 'l', address: { socket_address: { address: '0.0.0.0', port_value: 1 } }, filter_chains: [chain('a')], filter_chain_matcher: { on_no_match: to('a') } }));
  const outcome = message.filterChainMatcher?.onNoMatch?.onMatch;
  assert.ok(outcome?.$case === 'action' && outcome.value.typedConfig);
  outcome.value.typedConfig.value = Buffer.from([10, 200]);
  const compiled = compileListener(message, { networkFilters: new Map(), httpFilters: new Map(), listenerFilters: new Map(), accessLoggers: new Map() });
  assert.deepEqual(compiled.ok ? [] : compiled.error.map(({ path }) => path), ['filter_chain_matcher.on_no_match.action.typed_config']);
});

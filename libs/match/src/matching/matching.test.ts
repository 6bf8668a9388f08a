import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonToBinary } from '@meltemi/api';
import { StringValue } from '@meltemi/api/gen/google/protobuf/wrappers.ts';
import { Matcher } from '@meltemi/api/gen/xds/type/matcher/v3/matcher.ts';
import { ok, seededRandom } from '@meltemi/base';
import { StreamInfo, unknownConnection, type ConnectionInfo, type RequestHead } from '@meltemi/http';
import { compileMatcher, type MatcherKind } from './compile-matcher.ts';
import { connectionInputs, requestInputs } from './stream-inputs.ts';

type Json = Record<string, unknown>;
type View = Readonly<Record<string, string>>;

const type = (name: string, fields: Json = {}): Json => ({ name: 'x', typedConfig: { '@type': `type.googleapis.com/${name}`, ...fields } });
const act = (value: string): Json => ({ action: type('google.protobuf.StringValue', { value }) });
const header = (headerName: string): Json => type('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { headerName });
const single = (name: string, valueMatch: Json): Json => ({ singlePredicate: { input: header(name), valueMatch } });
const list = (...entries: [Json, Json][]): Json => ({ matchers: entries.map(([predicate, onMatch]) => ({ predicate, onMatch })) });
const ip = type('envoy.extensions.matching.common_inputs.network.v3.SourceIPInput');
const ranges = (...rangeMatchers: Json[]): Json => ({ matcherTree: { input: ip, customMatch: type('xds.type.matcher.v3.IPMatcher', { rangeMatchers }) } });
const cidr = (text: string): Json => ({ addressPrefix: text.split('/')[0], prefixLen: Number(text.split('/')[1]) });

const action: MatcherKind<View, string>['action'] = ({ typedConfig }) => ok(StringValue.decode(typedConfig?.value ?? new Uint8Array()).value);
/** Every view is a map: a header's name or "ip" → value. */
const kind: MatcherKind<View, string> = {
  inputs: {
    'envoy.type.matcher.v3.HttpRequestHeaderMatchInput': (config) => {
      const name = new TextDecoder().decode(config.subarray(2));
      return ok((view) => view[name] ?? null);
    },
    'envoy.extensions.matching.common_inputs.network.v3.SourceIPInput': () => ok((view) => view['ip'] ?? null),
  },
  action,
};
const decode = (json: Json): Matcher => Matcher.decode(jsonToBinary('xds.type.matcher.v3.Matcher', json));

function matcher(json: Json): (view: View) => string | null {
  const compiled = compileMatcher(decode(json), 'm', kind);
  assert.ok(compiled.ok, JSON.stringify(compiled));
  return (view) => compiled.value.match(view);
}

function refused(json: Json): string[] {
  const compiled = compileMatcher(decode(json), 'm', kind);
  return compiled.ok ? [] : compiled.error.map(({ path }) => path);
}

test('the first predicate of a list that holds decides, and on_no_match where none does', () => {
  const match = matcher({ matcherList: list([single('a', { prefix: 'x' }), act('one')], [single('a', { exact: 'xy' }), act('two')]), onNoMatch: act('none') });
  assert.deepEqual(['xy', 'z'].map((a) => match({ a })), ['one', 'none']);
  assert.equal(match({}), 'none');
  assert.equal(matcher({ matcherList: list([single('a', { exact: 'x' }), act('one')]) })({ a: 'y' }), null);
  assert.equal(matcher({ onNoMatch: act('always') })({}), 'always');
});

test('predicates are joined by or, and, not; a value that is missing matches no string, so its negation holds', () => {
  const [a, b] = [single('a', { exact: '1' }), single('b', { suffix: '2' })];
  const of = (predicate: Json) => matcher({ matcherList: list([predicate, act('yes')]) });
  const [or, and, not] = [of({ orMatcher: { predicate: [a, b] } }), of({ andMatcher: { predicate: [a, b] } }), of({ notMatcher: a })];
  const views: View[] = [{ a: '1', b: '2' }, { a: '1' }, { b: '12' }, { a: '2' }, {}];
  assert.deepEqual(views.map((view) => [or, and, not].map((match) => (match(view) === null ? 0 : 1)).join('')), ['110', '100', '101', '001', '001']);
});

test('a branch that comes to no action counts as not matched: the next entry is tried', () => {
  const inner = { matcher: { matcherList: list([single('b', { exact: '1' }), act('inner')]) } };
  const match = matcher({ matcherList: list([single('a', { exact: '1' }), inner], [single('a', { exact: '1' }), act('next')]) });
  assert.equal(match({ a: '1', b: '1' }), 'inner');
  assert.equal(match({ a: '1' }), 'next');
});

test('an address is matched by ranges, in a predicate too', () => {
  const match = matcher({ matcherList: list([{ singlePredicate: { input: ip, customMatch: type('envoy.extensions.matching.input_matchers.ip.v3.Ip', { cidrRanges: [cidr('10.0.0.0/8'), cidr('fd00::/8')], statPrefix: 's' }) } }, act('in')]) });
  assert.deepEqual(['10.1.2.3', 'fd00::1', '11.0.0.1', 'no address'].map((at) => match({ ip: at })), ['in', 'in', null, null]);
});

test('the longest range that comes to an action decides; an exclusive one stands only for itself', () => {
  const inner = { matcher: { matcherList: list([single('a', { exact: '1' }), act('narrow')]) } };
  const match = (exclusive: boolean) => matcher({ ...ranges({ ranges: [cidr('0.0.0.0/0')], onMatch: act('wide'), exclusive }, { ranges: [cidr('192.0.0.0/2')], onMatch: inner }), onNoMatch: act('none') });
  for (const exclusive of [true, false]) {
    assert.equal(match(exclusive)({ ip: '192.168.0.1', a: '1' }), 'narrow');
    assert.equal(match(exclusive)({ ip: '10.0.0.1' }), 'wide');
    assert.equal(match(exclusive)({ ip: '192.168.0.1' }), exclusive ? 'none' : 'wide');
  }
});

test('a server name is looked for by itself, then under its wildcards from the longest', () => {
  const domain = (onMatch: Json, ...domains: string[]): Json => ({ domains, onMatch });
  const match = matcher({ matcherTree: { input: header('name'), customMatch: type('xds.type.matcher.v3.ServerNameMatcher', { domainMatchers: [domain(act('any'), '*'), domain(act('com'), '*.com'), domain(act('shop'), '*.shop.com', 'Www.Shop.org')] }) } });
  assert.deepEqual(['a.shop.com', 'A.B.SHOP.com', 'shop.com', 'www.shop.org', 'x', 'com'].map((name) => match({ name })), ['shop', 'shop', 'com', 'shop', 'any', 'any']);
  assert.equal(match({}), null);
});

test('a map says the same as the list of its entries', () => {
  const source = seededRandom(7);
  const random = (): number => source.next();
  const word = (): string => Array.from({ length: Math.floor(random() * 4) }, () => 'ab'[Math.floor(random() * 2)]).join('');
  for (let round = 0; round < 200; round++) {
    // some of the branches come to an action for half of the views only
    const entries = new Map(Array.from({ length: 1 + Math.floor(random() * 6) }, () => [word(), random() < 0.5 ? act(word()) : { matcher: { matcherList: list([single('k', { exact: 'a' }), act(word())]) } }] as [string, Json]));
    const onNoMatch = random() < 0.5 ? { onNoMatch: act('none') } : {};
    for (const [tree, string] of [['exactMatchMap', 'exact'], ['prefixMatchMap', 'prefix']] as const) {
      const byLength = [...entries].sort(([a], [b]) => b.length - a.length);
      const [asTree, asList] = [
        matcher({ matcherTree: { input: header('v'), [tree]: { map: Object.fromEntries(entries) } }, ...onNoMatch }),
        matcher({ matcherList: list(...byLength.map(([key, then]): [Json, Json] => [single('v', { [string]: key }), then])), ...onNoMatch }),
      ];
      for (let i = 0; i < 20; i++) {
        const view: View = random() < 0.1 ? {} : { v: word(), k: random() < 0.5 ? 'a' : 'b' };
        assert.equal(asTree(view), asList(view), JSON.stringify([tree, [...entries], view]));
      }
    }
  }
});

test('what cannot be run is refused by its path', () => {
  assert.deepEqual(refused({}), ['m']);
  assert.deepEqual(refused({ matcherList: {} }), ['m.matcher_list.matchers']);
  assert.deepEqual(refused({ matcherList: { matchers: [{}] } }), ['m.matcher_list.matchers[0].predicate', 'm.matcher_list.matchers[0].on_match']);
  assert.deepEqual(refused({ matcherList: list([{ andMatcher: { predicate: [single('a', { safeRegex: { regex: '(' } })] } }, act('x')]) }), ['m.matcher_list.matchers[0].predicate.and_matcher.predicate', 'm.matcher_list.matchers[0].predicate.and_matcher.predicate[0].single_predicate.value_match.safe_regex.regex']);
  assert.deepEqual(refused({ matcherTree: { input: type('google.protobuf.StringValue', { value: 'x' }), exactMatchMap: { map: { k: {} } } } }), ['m.matcher_tree.input.typed_config', 'm.matcher_tree.exact_match_map.map["k"]']);
  assert.deepEqual(refused({ matcherTree: { input: header('a'), customMatch: type('google.protobuf.StringValue', { value: 'x' }) }, onNoMatch: {} }), ['m.on_no_match', 'm.matcher_tree.custom_match.typed_config']);
  assert.deepEqual(refused(ranges({ ranges: [cidr('10.0.0.0/33')], onMatch: act('x') }, { onMatch: act('y') })), ['m.matcher_tree.custom_match.typed_config.range_matchers[0].ranges[0].prefix_len', 'm.matcher_tree.custom_match.typed_config.range_matchers[1].ranges']);
});

test('an extension whose bytes are none of its message is refused by its path, and hides no other fault', () => {
  const broken = decode({ matcherTree: { input: header('a'), exactMatchMap: { map: { k: act('x') } } }, onNoMatch: {} });
  const tree = broken.matcherType?.$case === 'matcherTree' ? broken.matcherType.value : undefined;
  const branch = tree?.treeType?.$case === 'exactMatchMap' ? tree.treeType.value.map['k']?.onMatch : undefined;
  assert.ok(branch?.$case === 'action' && branch.value.typedConfig);
  branch.value.typedConfig.value = Buffer.from([10, 200]);
  const compiled = compileMatcher(broken, 'm', kind);
  assert.ok(!compiled.ok);
  assert.deepEqual(compiled.error.map(({ path }) => path), ['m.on_no_match', 'm.matcher_tree.exact_match_map.map["k"].action.typed_config']);
  assert.match(compiled.error[1]?.message ?? '', /^cannot be decoded: /);
});

test('nesting and size have limits', () => {
  const nested = (levels: number): Json => (levels === 0 ? { onNoMatch: act('deep') } : { onNoMatch: { matcher: nested(levels - 1) } });
  assert.equal(matcher(nested(30))({}), 'deep');
  assert.equal(refused(nested(40)).length, 1);
  const map = Object.fromEntries(Array.from({ length: 50_001 }, (_, i) => [`k${i}`, decode({ onNoMatch: act('x') }).onNoMatch]));
  const large = { ...decode({ matcherTree: { input: header('a'), exactMatchMap: { map: { k: act('x') } } } }) };
  if (large.matcherType?.$case === 'matcherTree') large.matcherType.value.treeType = { $case: 'exactMatchMap', value: { map: map as never } };
  const compiled = compileMatcher(large, 'm', kind);
  assert.equal(compiled.ok ? 0 : compiled.error.length, 1);
});

test('every input reads its part of a request and its connection', () => {
  const tls = { peerPresented: true, peerValidated: true, peerUriSans: ['spiffe://a/b', 'spiffe://a/c'], peerDnsSans: ['d.e'], peerSubject: 'CN=x' } as unknown as NonNullable<ConnectionInfo['tls']>;
  const connection = { ...unknownConnection, localAddress: '10.0.0.9:80', directRemoteAddress: '[fd00::5]:4000', proxiedAddress: '10.0.0.7:99', requestedServerName: 'shop.com', tls };
  const read = (info: StreamInfo): Record<string, string | null> => Object.fromEntries(Object.entries(connectionInputs).map(([name, compile]) => {
    const input = compile(new Uint8Array(), '');
    return [name.replace(/.*\./, ''), input.ok ? input.value(info) : 'refused'];
  }));
  assert.deepEqual(read(new StreamInfo(connection, 0, 0)), {
    DestinationIPInput: '10.0.0.9', DestinationPortInput: '80', SourceIPInput: '10.0.0.7', SourcePortInput: '99', DirectSourceIPInput: 'fd00::5', ServerNameInput: 'shop.com',
    UriSanInput: 'spiffe://a/b,spiffe://a/c', DnsSanInput: 'd.e', SubjectInput: 'CN=x',
  });
  const unverified = read(new StreamInfo({ ...connection, tls: { ...tls, peerValidated: false }, requestedServerName: '' }, 0, 0));
  assert.deepEqual(['UriSanInput', 'DnsSanInput', 'SubjectInput', 'ServerNameInput'].map((name) => unverified[name]), [null, null, null, null]);
});

test('a header is read by its name in any case; a request without it, and a connection without a request, have none', () => {
  const compile = requestInputs['envoy.type.matcher.v3.HttpRequestHeaderMatchInput'];
  const input = compile?.(jsonToBinary('envoy.type.matcher.v3.HttpRequestHeaderMatchInput', { headerName: 'X-Team' }), 'p');
  assert.ok(input?.ok);
  const info = new StreamInfo(unknownConnection, 0, 0);
  assert.equal(input.value(info), null);
  info.request = { field: (name: string) => (name === 'x-team' ? 'a,b' : null) } as unknown as RequestHead;
  assert.equal(input.value(info), 'a,b');
  assert.deepEqual(compile?.(new Uint8Array(), 'p'), { ok: false, error: [{ path: 'p.header_name', message: 'is required' }] });
});

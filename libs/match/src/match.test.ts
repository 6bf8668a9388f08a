import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { RE2JS } from 're2js';
import { HeaderMatcher } from '@meltemi/api/gen/envoy/config/route/v3/route_components.ts';
import { HeaderMap, RequestHead } from '@meltemi/http';
import { compileCidrs, compileHeaderMatcher, compileRegex, compileRegexRewrite, compileStringMatcher, fraction, parseIp } from './index.ts';

test('patterns that are linear in V8 run there, all others on the linear engine', () => {
  for (const pattern of ['.*', '/api/v[0-9]+/.*', '[^/]+', '/[^/]+/foo(/.*)?', 'a|b', '.*foo', '^/x$', '(GET|POST)', 'v1\\.[0-9]{1,3}', '.*\\.example\\.com']) {
    const regex = compileRegex(pattern);
    assert.equal(regex.ok && regex.value.engine, 'v8', pattern);
  }
  for (const pattern of ['(a+)+', '(a*)*b', '(a|a)*', '.*.*x.*', '(.*)foo.*bar', '(?i)abc', '[[:alpha:]]+', '\\bfoo', 'a.*b.*c', '(a|ab)(c|bcd)(d*)*', 'é']) {
    const regex = compileRegex(pattern);
    assert.equal(regex.ok && regex.value.engine, 're2', pattern);
  }
  for (const pattern of ['(?=a)', '(a)\\1', '(', 'a{2000}', 'x'.repeat(5000)]) assert.equal(compileRegex(pattern).ok, false, pattern);
});

test('both engines give the same answers', () => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(a|b)', '(ab)', '\\d', '\\s', '\\.', '(a|bc)', '\\w');
  const quantifier = fc.constantFrom('', '', '*', '+', '?', '{1,2}', '*?', '{2}');
  const pattern = fc.array(fc.tuple(atom, quantifier), { maxLength: 5 }).map((parts) => parts.map((part) => part.join('')).join(''));
  const subject = fc.array(fc.constantFrom('a', 'b', 'c', '.', '1', ' ', '\n', '\u00a0', '\u000b', '\r'), { maxLength: 8 }).map((chars) => chars.join(''));
  fc.assert(fc.property(pattern, subject, (source, value) => {
    const regex = compileRegex(source);
    assert.ok(regex.ok);
    assert.equal(regex.value.matchesAll(value), RE2JS.compile(source).matches(value), `${source} on ${JSON.stringify(value)}`);
  }), { numRuns: 500 });
});

test('rewrites replace every match with RE2 groups', () => {
  for (const [pattern, substitution, before, after] of [
    ['^/service/([^/]+)(/.*)$', '\\2/instance/\\1', '/service/foo/v1/api', '/v1/api/instance/foo'],
    ['one', 'two', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/two/zzz'],
    ['^(.*?)one(.*)$', '\\1two\\2', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/one/zzz'],
    ['(?i)/xxx/', '/yyy/', '/aaa/XxX/bbb', '/aaa/yyy/bbb'],
    ['.*', 'x', 'abc', 'x'], ['a*', 'x', 'baac', 'xbxcx'], ['^/a', '/b', '/a/a', '/b/a'], ['(/)', '\\\\\\0$1', 'a/b', 'a\\/$1b'],
  ] as const) {
    const rewrite = compileRegexRewrite(pattern, substitution);
    assert.ok(rewrite.ok, pattern);
    assert.equal(rewrite.value.rewrite(before), after, pattern);
  }
  assert.equal(compileRegexRewrite('(a)', '\\2').ok, false);
  assert.equal(compileRegexRewrite('(a)', 'x\\').ok, false);
});

function header(value: Partial<HeaderMatcher>): HeaderMatcher {
  return { ...HeaderMatcher.decode(new Uint8Array()), name: 'X-A', ...value };
}

test('header matchers follow the rules for missing, repeated and inverted headers', () => {
  const exact = { $case: 'exactMatch', value: 'v' } as const;
  const empty = { $case: 'stringMatch', value: { matchPattern: { $case: 'exact', value: '' }, ignoreCase: false } } as const;
  const range = { $case: 'rangeMatch', value: { start: -10n, end: 0n } } as const;
  const table: [Partial<HeaderMatcher>, string[], boolean][] = [
    [{ headerMatchSpecifier: exact }, ['x-a', 'v'], true], [{ headerMatchSpecifier: exact }, ['x-a', 'v', 'x-a', 'w'], false],
    [{ headerMatchSpecifier: { $case: 'exactMatch', value: 'v,w' } }, ['x-a', 'v', 'x-a', 'w'], true],
    [{ headerMatchSpecifier: exact, invertMatch: true }, ['x-a', 'w'], true], [{ headerMatchSpecifier: exact, invertMatch: true }, [], false],
    [{ headerMatchSpecifier: exact, invertMatch: true, treatMissingHeaderAsEmpty: true }, [], true],
    [{ headerMatchSpecifier: empty, treatMissingHeaderAsEmpty: true }, [], true], [{ headerMatchSpecifier: empty }, [], false],
    [{}, ['x-a', ''], true], [{}, [], false], [{ invertMatch: true }, [], true],
    [{ headerMatchSpecifier: { $case: 'presentMatch', value: false } }, [], true], [{ headerMatchSpecifier: { $case: 'presentMatch', value: false } }, ['x-a', '1'], false],
    [{ headerMatchSpecifier: range }, ['x-a', '-1'], true], [{ headerMatchSpecifier: range }, ['x-a', '0'], false], [{ headerMatchSpecifier: range }, ['x-a', '-1x'], false],
    [{ headerMatchSpecifier: { $case: 'prefixMatch', value: 'ab' } }, ['x-a', 'abc'], true], [{ headerMatchSpecifier: { $case: 'suffixMatch', value: 'bc' } }, ['x-a', 'abc'], true],
    [{ headerMatchSpecifier: { $case: 'containsMatch', value: 'x' } }, ['x-a', 'abc'], false],
    [{ headerMatchSpecifier: { $case: 'safeRegexMatch', value: { regex: '\\d{3}' } } }, ['x-a', '1234'], false],
    [{ name: ':method', headerMatchSpecifier: { $case: 'exactMatch', value: 'GET' } }, [], true],
  ];
  for (const [matcher, flat, expected] of table) {
    const compiled = compileHeaderMatcher(header(matcher), 'headers[0]');
    assert.ok(compiled.ok);
    assert.equal(compiled.value.matches(new RequestHead('GET', '/', 'a', new HeaderMap([...flat]))), expected, JSON.stringify([matcher, flat], (_k, v) => (typeof v === 'bigint' ? String(v) : v)));
  }
});

test('a matcher of a field means the characters of its pattern, which come as UTF-8', () => {
  const wire = (text: string) => Buffer.from(text).toString('latin1');
  for (const [matcher, value, expected] of [
    [{ $case: 'exactMatch', value: 'café' }, 'café', true], [{ $case: 'prefixMatch', value: '日' }, '日本', true], [{ $case: 'suffixMatch', value: 'é' }, 'café', true], [{ $case: 'containsMatch', value: 'é' }, 'cafe', false],
    [{ $case: 'stringMatch', value: { matchPattern: { $case: 'exact', value: 'Café' }, ignoreCase: true } }, 'café', true],
    [{ $case: 'stringMatch', value: { matchPattern: { $case: 'safeRegex', value: { regex: 'caf[éè]' } }, ignoreCase: false } }, 'cafè', true],
    [{ $case: 'safeRegexMatch', value: { regex: 'caf[éè]' } }, 'caf\xc3', false],
  ] as const) {
    const compiled = compileHeaderMatcher(header({ headerMatchSpecifier: matcher }), 'headers[0]');
    assert.ok(compiled.ok);
    assert.equal(compiled.value.matches(new RequestHead('GET', '/', 'a', new HeaderMap(['x-a', wire(value)]))), expected, JSON.stringify([matcher, value]));
  }
});

test('string matchers ignore case when asked and name what is missing', () => {
  const compiled = compileStringMatcher({ matchPattern: { $case: 'prefix', value: 'Foo' }, ignoreCase: true }, 'm');
  assert.ok(compiled.ok && compiled.value.matches('fOObar'));
  const broken = compileStringMatcher({ matchPattern: { $case: 'safeRegex', value: { regex: '(' } }, ignoreCase: false }, 'm');
  assert.equal(!broken.ok && broken.error[0]?.path, 'm.safe_regex.regex');
  assert.equal(compileStringMatcher(undefined, 'm').ok, false);
});

test('address ranges hold IPv4, IPv6 and mapped addresses', () => {
  const ranges = [{ addressPrefix: '10.1.2.3', prefixLen: 8 }, { addressPrefix: 'fd00::', prefixLen: 9 }, { addressPrefix: '192.168.1.1', prefixLen: 32 }];
  const set = compileCidrs(ranges, 'r');
  assert.ok(set.ok);
  for (const [ip, inside] of [['10.255.0.1', true], ['11.0.0.1', false], ['::ffff:10.0.0.1', true], ['fd7f::1', true], ['fd80::1', false], ['192.168.1.1', true], ['192.168.1.2', false], ['x', false], ['', false]] as const) {
    assert.equal(set.value.contains(ip), inside, ip);
  }
  for (const bad of ['1.2.3', '1.2.3.4.5', '01.2.3.4', '256.1.1.1', '1::2::3', ':::', '12345::', '1:2:3:4:5:6:7', '::1.2.3', '1:2:3:4:5:6:7:8:9']) assert.equal(parseIp(bad), null, bad);
  const wrong = compileCidrs([{ addressPrefix: '1.2.3.4', prefixLen: 33 }], 'r');
  assert.equal(!wrong.ok && wrong.error[0]?.path, 'r[0].prefix_len');
});

test('no text makes the address parser or a regex throw', () => {
  fc.assert(fc.property(fc.string(), (value) => {
    parseIp(value);
    const regex = compileRegex(value);
    if (regex.ok) regex.value.matchesAll(value);
  }));
});

test('fractions are exact at their ends', () => {
  assert.equal(fraction(0).hit(0), false);
  assert.equal(fraction(1_000_000).hit(0.999999999), true);
  assert.equal(fraction(500_000).hit(0.5), false);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeaderMap, StreamInfo, unknownConnection } from '@meltemi/http';
import { applyHeaderOps, RetryOn, rewriteRequest, type ForwardAction, type RouteMatch } from '@meltemi/route';
import { xdsType } from '@meltemi/xds';
import { featuresFrom } from '../../features.ts';
import { bookinfo, configsOf, jsonOf, meshOf, podYaml, productpage } from '../../testing/mesh.test-support.ts';
import { headOf, listenersOf, match, tableOf, whither, type Call } from '../../testing/walk.test-support.ts';
import { translate } from '../translate.ts';

interface World {
  /** More objects. */
  readonly yaml?: string;
  readonly mesh?: Parameters<typeof meshOf>[1];
  readonly env?: Record<string, string>;
}

/** The table of port 9080 of productpage's sidecar when `http` are the routes of a rule called "rule" for reviews. */
function table(http: string, { yaml = '', mesh = {}, env = {} }: World = {}) {
  const rule = `---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: rule, namespace: default}\nspec: {hosts: [reviews], http: [${http}]}\n`;
  const push = meshOf([...bookinfo(), ...configsOf(rule + yaml)], mesh, undefined, featuresFrom(env));
  assert.deepEqual(push.quarantined, []);
  return tableOf(push, productpage(), '9080');
}

const url = 'http://reviews:9080';
const route = (host = 'details', rest = '') => `route: [{destination: {host: ${host}, port: {number: 9080}}${rest}}]`;
const matchOf = (http: string, call: string | Call = url, world: World = {}): RouteMatch => {
  const found = match(table(http, world), call);
  assert.ok(found, 'a route matches');
  return found;
};
const forward = (http: string, call: string | Call = url, world: World = {}): ForwardAction => {
  const { action } = matchOf(http, call, world);
  assert.equal(action.kind, 'forward');
  return action as ForwardAction;
};

/** [what is said of a request, the match, calls that fit, calls that do not]. */
const matches: readonly (readonly [string, string, readonly (string | Call)[], readonly (string | Call)[]])[] = [
  ['an exact path', '{uri: {exact: /a}}', [`${url}/a`, `${url}/a?q=1`], [`${url}/a/`, `${url}/A`]],
  ['a prefix is one of text, not of segments', '{uri: {prefix: /a}}', [`${url}/a`, `${url}/abc`, `${url}/a/b`], [`${url}/b`]],
  ['a regular expression fits the whole path', '{uri: {regex: "/a[0-9]+"}}', [`${url}/a12`], [`${url}/a12/`, `${url}/xa1`]],
  ['case may be ignored', '{uri: {prefix: /Aa}, ignoreUriCase: true}', [`${url}/aA/x`, `${url}/Aa`], [`${url}/b`]],
  ['an empty uri condition is any path', '{uri: {}, method: {exact: GET}}', [`${url}/x`], [`POST ${url}/x`]],
  ['a method', '{method: {exact: POST}}', [`POST ${url}`], [url, `PUT ${url}`]],
  ['a method by regular expression', '{method: {regex: "P.*"}}', [`POST ${url}`, `PUT ${url}`], [url]],
  ['a scheme', '{scheme: {exact: https}}', ['https://reviews:9080'], [url]],
  ['an authority', '{authority: {prefix: reviews.default}}', ['http://reviews.default:9080'], [url]],
  ['a header by value', '{headers: {end-user: {exact: jason}}}', [{ url, headers: { 'end-user': 'jason' } }], [url, { url, headers: { 'end-user': 'jasons' } }]],
  ['a header\'s name in any case', '{headers: {End-User: {prefix: ja}}}', [{ url, headers: { 'end-user': 'jason' } }], [{ url, headers: { 'end-user': 'bob' } }]],
  ['an empty header condition asks for presence', '{headers: {x-a: {}}}', [{ url, headers: { 'x-a': 'v' } }], [url]],
  ['pseudo headers among headers', '{headers: {":method": {exact: POST}, ":path": {prefix: /x}}}', [`POST ${url}/x`], [`${url}/x`, `POST ${url}/y`]],
  ['a header that must not be there', '{withoutHeaders: {x-a: {}}}', [url], [{ url, headers: { 'x-a': 'v' } }]],
  ['a header that must not have a value', '{withoutHeaders: {x-a: {exact: v}}}', [url, { url, headers: { 'x-a': 'w' } }], [{ url, headers: { 'x-a': 'v' } }]],
  ['a missing header counts as empty for withoutHeaders, so ".*" fits nothing', '{withoutHeaders: {x-a: {regex: ".*"}}}', [], [url, { url, headers: { 'x-a': 'v' } }]],
  ['a query parameter by value', '{queryParams: {v: {exact: "1"}}}', [`${url}/?v=1`, `${url}/?a=b&v=1`], [url, `${url}/?v=2`]],
  ['a query parameter\'s presence', '{queryParams: {v: {}}}', [`${url}/?v`, `${url}/?v=1`], [url, `${url}/?w=1`]],
  ['a query parameter by regular expression', '{queryParams: {v: {regex: "[0-9]+"}}}', [`${url}/?v=12`], [`${url}/?v=a`]],
  ['all conditions of one match', '{uri: {prefix: /a}, method: {exact: GET}}', [`${url}/a`], [`${url}/b`, `POST ${url}/a`]],
  ['any of several matches', '{uri: {exact: /a}}, {method: {exact: POST}}', [`${url}/a`, `POST ${url}/b`], [`${url}/b`]],
  ['the port that was dialled', '{port: 9080}', [url], []],
  ['another port', '{port: 80}', [], [url]],
  ['labels of the client', '{sourceLabels: {app: productpage}}', [url], []],
  ['labels of another client', '{sourceLabels: {app: productpage, version: v2}}', [], [url]],
  ['the client\'s namespace', '{sourceNamespace: default}', [url], []],
  ['another namespace', '{sourceNamespace: other}', [], [url]],
  ['the mesh among gateways', '{gateways: [gw, mesh]}', [url], []],
  ['gateways without the mesh', '{gateways: [gw]}', [], [url]],
  ['where gateways are named, labels and namespace of the client do not count', '{gateways: [mesh], sourceLabels: {app: nobody}, sourceNamespace: other}', [url], []],
];

for (const [what, conditions, fitting, others] of matches) {
  test(`a match on ${what}`, () => {
    const compiled = table(`{match: [${conditions}], ${route('details')}}, {${route('ratings')}}`);
    for (const call of fitting) assert.equal(whither(compiled, call), 'details:9080', JSON.stringify(call));
    for (const call of others) assert.equal(whither(compiled, call), 'ratings:9080', JSON.stringify(call));
  });
}

test('the first route that matches wins, and what follows a catch-all is left out', () => {
  const names = (http: string) => table(http)?.virtualHosts.find(({ name }) => name.startsWith('reviews'))?.routes.map(({ name }) => name);
  assert.deepEqual(names(`{name: a, match: [{uri: {prefix: /}}], ${route()}}, {name: b, ${route()}}`), ['a']);
  assert.deepEqual(names(`{name: a, match: [{uri: {regex: ".*"}}], ${route()}}, {name: b, ${route()}}`), ['a']);
  assert.deepEqual(names(`{name: a, match: [{uri: {prefix: /}, method: {exact: GET}}], ${route()}}, {name: b, ${route()}}`), ['a', 'b']);
});

test('a route is called by its name and its match\'s, joined with a dot; a service without rule has "default"', () => {
  const name = (http: string) => matchOf(http).routeName;
  assert.equal(name(`{name: r, match: [{name: m, uri: {prefix: /}}], ${route()}}`), 'r.m');
  assert.equal(name(`{name: r, ${route()}}`), 'r');
  assert.equal(name(`{match: [{name: m, uri: {prefix: /}}], ${route()}}`), '.m');
  assert.equal(match(table(`{${route()}}`), 'http://details:9080')?.routeName, 'default');
});

test('spans are named by the one destination and the path, else by the rule', () => {
  const operation = (http: string, call?: string) => matchOf(http, call).decoratorOperation;
  assert.equal(operation(`{match: [{uri: {prefix: /a}}], ${route()}}`, `${url}/a`), 'details.default.svc.cluster.local:9080/a*');
  assert.equal(operation('{route: [{destination: {host: details}, weight: 50}, {destination: {host: ratings}, weight: 50}]}'), 'rule:9080/*');
  assert.equal(operation('{match: [{uri: {exact: /a}}], redirect: {uri: /b}}', `${url}/a`), 'rule:9080/a');
});

test('weights divide requests; without one a destination among several gets nothing', () => {
  const compiled = table('{route: [{destination: {host: details}, weight: 25}, {destination: {host: reviews}}, {destination: {host: ratings}, weight: 75}]}');
  const seen = Array.from({ length: 400 }, (_, i) => whither(compiled, url, i / 400));
  const share = (host: string) => seen.filter((whom) => whom === `${host}:9080`).length;
  assert.ok(share('details') > 70 && share('details') < 130, `a quarter of 400: ${share('details')}`);
  assert.deepEqual([share('reviews'), share('details') + share('ratings')], [0, 400]);
  assert.equal(whither(table('{route: [{destination: {host: details}, weight: 0}]}'), url, 0.5), 'details:9080', 'the only one takes all');
});

test('a destination\'s port is the one named, else the service\'s only one, else the one dialled', () => {
  const two = '---\napiVersion: v1\nkind: Service\nmetadata: {name: two}\nspec: {ports: [{name: http, port: 81}, {name: http-2, port: 82}]}\n---\napiVersion: v1\nkind: Service\nmetadata: {name: one}\nspec: {ports: [{name: http, port: 81}]}\n';
  const at = (destination: string) => whither(table(`{route: [{destination: ${destination}}]}`, { yaml: two }), url);
  assert.equal(at('{host: two, port: {number: 82}}'), 'two:82');
  assert.equal(at('{host: one}'), 'one:81');
  assert.equal(at('{host: two}'), 'two:9080');
  assert.equal(at('{host: nobody}'), 'nobody:9080', 'a service nobody knows');
  assert.equal(at('{host: reviews, subset: v3}'), 'v3 of reviews:9080');
});

/** [redirect, where GET http://reviews:9080/a?q=1 is sent]. */
const redirects: readonly (readonly [string, string])[] = [
  ['{uri: /b}', '301 http://reviews:9080/b?q=1'],
  ['{authority: shop.example}', '301 http://shop.example/a?q=1'],
  ['{uri: /b, authority: shop.example, scheme: https, redirectCode: 308}', '308 https://shop.example/b?q=1'],
  ['{prefixRewrite: /z}', '301 http://reviews:9080/z?q=1'],
  ['{authority: shop.example, port: 8443}', '301 http://shop.example:8443/a?q=1'],
  ['{authority: shop.example, port: 80}', '301 http://shop.example/a?q=1'],
  ['{authority: shop.example, port: 443, scheme: https}', '301 https://shop.example/a?q=1'],
  ['{authority: shop.example, port: 443}', '301 http://shop.example:443/a?q=1'],
  ['{authority: shop.example, derivePort: FROM_REQUEST_PORT}', '301 http://shop.example:9080/a?q=1'],
  ['{authority: shop.example, derivePort: FROM_PROTOCOL_DEFAULT}', '301 http://shop.example/a?q=1'],
  ['{uri: /b, redirectCode: 302}', '302 http://reviews:9080/b?q=1'],
  ['{uri: /b, redirectCode: 303}', '303 http://reviews:9080/b?q=1'],
  ['{uri: /b, redirectCode: 307}', '307 http://reviews:9080/b?q=1'],
];

for (const [settings, location] of redirects) {
  test(`a redirect ${settings}`, () => assert.equal(whither(table(`{match: [{uri: {prefix: /a}}], redirect: ${settings}}`), `${url}/a?q=1`), `redirect ${location}`));
}

test('a direct response has a status, and a body of text or bytes', () => {
  const answer = (settings: string) => {
    const { action } = matchOf(`{directResponse: ${settings}}`);
    return action.kind === 'direct' ? [action.status, Buffer.from(action.body ?? '').toString('latin1')] : [action.kind];
  };
  assert.deepEqual(answer('{status: 418}'), [418, '']);
  assert.deepEqual(answer('{status: 200, body: {string: hi}}'), [200, 'hi']);
  assert.deepEqual(answer('{status: 200, body: {bytes: aGkA}}'), [200, 'hi\0']);
});

/** What reaches the upstream: "authority path" and headers that rules changed. */
function sent(http: string, call: string | Call): string {
  const head = headOf(call);
  const found = match(table(http), call);
  assert.equal(found?.action.kind, 'forward');
  applyHeaderOps(found.requestHeaders, head.headers, new StreamInfo(unknownConnection, 0, 0));
  rewriteRequest(found.action as ForwardAction, head);
  return `${head.authority} ${head.path}`;
}

test('rewrites: a prefix for the prefix that matched, the whole of an exact path, a regular expression with its groups, the authority', () => {
  const a = 'match: [{uri: {prefix: /a}}]';
  assert.equal(sent(`{${a}, rewrite: {uri: /b}, ${route()}}`, `${url}/a/x?q=1`), 'reviews:9080 /b/x?q=1');
  assert.equal(sent(`{match: [{uri: {exact: /a}}], rewrite: {uri: /b}, ${route()}}`, `${url}/a?q=1`), 'reviews:9080 /b?q=1');
  assert.equal(sent(`{match: [{uri: {regex: "/a/.*"}}], rewrite: {uriRegexRewrite: {match: "/a/(.*)/(.*)", rewrite: '/\\2/\\1'}}, ${route()}}`, `${url}/a/x/y`), 'reviews:9080 /y/x');
  assert.equal(sent(`{${a}, rewrite: {authority: b.example}, ${route()}}`, `${url}/a`), 'b.example /a');
});

test('the host may be set among headers: of the route and its one destination the route wins', () => {
  const set = (host: string) => `headers: {request: {set: {Host: ${host}}}}`;
  assert.equal(sent(`{${set('route.example')}, ${route()}}`, url), 'route.example /');
  assert.equal(sent(`{headers: {request: {add: {":authority": route.example}}}, ${route()}}`, url), 'route.example /');
  assert.equal(sent(`{${route('details', `, ${set('destination.example')}`)}}`, url), 'destination.example /');
  assert.equal(sent(`{${set('route.example')}, ${route('details', `, ${set('destination.example')}`)}}`, url), 'route.example /');
  const weighted = `{route: [{destination: {host: details}, weight: 1, ${set('destination.example')}}, {destination: {host: ratings}, weight: 1}]}`;
  assert.equal(sent(weighted, url), 'destination.example /', 'one of several destinations, too');
});

test('headers: set, then add; removed ones go first; the route\'s changes come before its one destination\'s', () => {
  const changed = (http: string, headers: Record<string, string> = {}) => {
    const found = match(table(http), { url, headers });
    assert.ok(found);
    const [request, response] = [HeaderMap.from(headers), HeaderMap.from({ server: 'app' })];
    applyHeaderOps(found.requestHeaders, request, new StreamInfo(unknownConnection, 0, 0));
    applyHeaderOps(found.responseHeaders, response, new StreamInfo(unknownConnection, 0, 0));
    return [request.getAll('x-a'), request.get('x-b'), response.get('server')];
  };
  const operations = 'headers: {request: {set: {x-a: set}, add: {x-a: add}, remove: [x-b]}, response: {remove: [server]}}';
  assert.deepEqual(changed(`{${operations}, ${route()}}`, { 'x-a': 'old', 'x-b': 'old' }), ['set,add', null, null]);
  assert.deepEqual(changed(`{headers: {request: {add: {x-a: route}}}, ${route('details', ', headers: {request: {add: {x-a: destination}}}')}}`), ['route,destination', null, 'app']);
  assert.deepEqual(changed(`{${route('details', ', headers: {request: {set: {x-b: destination}}}')}}`), [null, 'destination', 'app']);
});

test('timeouts are off unless set; a deadline of gRPC counts no longer than that', () => {
  assert.deepEqual([forward(`{${route()}}`).timeoutMs, forward(`{${route()}}`).grpcTimeoutHeaderMaxMs], [0, 0]);
  assert.deepEqual([forward(`{timeout: 1.5s, ${route()}}`).timeoutMs, forward(`{timeout: 1.5s, ${route()}}`).grpcTimeoutHeaderMaxMs], [1500, 1500]);
});

test('mirrors: all of it or a share; none of nothing; the Host is kept unless the old suffix is wanted', () => {
  const mirrors = (http: string, world: World = {}) => forward(http, url, world).mirrors.map(({ cluster, appendShadowSuffix, fraction }) => [cluster?.split('|')[3]?.split('.')[0], fraction.hit(0.4), fraction.hit(0.6), appendShadowSuffix]);
  assert.deepEqual(mirrors(`{mirror: {host: ratings}, ${route()}}`), [['ratings', true, true, false]]);
  assert.deepEqual(mirrors(`{mirror: {host: ratings}, mirrorPercentage: {value: 50}, ${route()}}`), [['ratings', true, false, false]]);
  assert.deepEqual(mirrors(`{mirror: {host: ratings}, mirrorPercent: 50, ${route()}}`), [['ratings', true, false, false]]);
  assert.deepEqual(mirrors(`{mirror: {host: ratings}, mirrorPercentage: {value: 0}, ${route()}}`), []);
  assert.deepEqual(mirrors(`{mirrors: [{destination: {host: ratings}}, {destination: {host: productpage}, percentage: {value: 50}}], ${route()}}`), [['ratings', true, true, false], ['productpage', true, false, false]]);
  assert.deepEqual(mirrors(`{mirror: {host: ratings}, ${route()}}`, { env: { DISABLE_SHADOW_HOST_SUFFIX: 'false' } }), [['ratings', true, true, true]]);
});

const hashed = '---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: details}\nspec: {host: details, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}}\n';

test('retries: two on what is safe to try again, on other hosts; settings replace them one by one, 0 switches them off', () => {
  const retries = (http: string, world: World = {}) => forward(http, url, world).retry;
  const byDefault = retries(`{${route()}}`);
  assert.deepEqual([byDefault?.numRetries, byDefault?.avoidPreviousHosts, byDefault?.hostSelectionMaxAttempts, byDefault?.perTryTimeoutMs, byDefault?.leavePrioritiesAfter], [2, true, 5, 0, 0]);
  assert.equal(retries(`{retries: {attempts: 0}, ${route()}}`), null);
  const some = retries(`{retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx,503", backoff: 50ms, retryRemoteLocalities: true, retryIgnorePreviousHosts: false}, ${route()}}`);
  assert.deepEqual([some?.numRetries, some?.perTryTimeoutMs, some?.retriableStatusCodes, some?.backoffBaseMs, some?.leavePrioritiesAfter, some?.avoidPreviousHosts], [3, 2000, [503], 50, 2, false]);
  assert.equal(retries(`{retries: {attempts: 3}, ${route()}}`)?.on, byDefault?.on, 'without retryOn the conditions are the default ones');
  const mesh = { defaultHttpRetryPolicy: { attempts: 7, retryOn: '' } };
  assert.equal(retries(`{${route()}}`, { mesh })?.numRetries, 7);
  assert.equal(retries(`{retries: {attempts: 1}, ${route()}}`, { mesh })?.numRetries, 1);
});

test('where the same host is wanted again retries do not avoid it, unless asked to', () => {
  const avoids = (http: string) => forward(http, url, { yaml: hashed }).retry?.avoidPreviousHosts;
  assert.equal(avoids(`{${route()}}`), false);
  assert.equal(avoids(`{retries: {attempts: 1, retryIgnorePreviousHosts: true}, ${route()}}`), true);
  assert.equal(avoids('{route: [{destination: {host: details}, weight: 1}, {destination: {host: ratings}, weight: 1}]}'), true);
  assert.equal(forward(`{${route()}}`, 'http://details:9080', { yaml: hashed }).retry?.avoidPreviousHosts, true, 'a service without rule');
});

test('a route hashes what the rule of its destination says: of the subset\'s port, the subset, the port, the destination the first that does; ports count when the route names one', () => {
  const rule = '---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: details}\nspec: {host: details, trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: all}}, portLevelSettings: [{port: {number: 9080}, loadBalancer: {consistentHash: {httpHeaderName: port}}}]}, subsets: [{name: own, trafficPolicy: {loadBalancer: {consistentHash: {httpQueryParameterName: own}}}}, {name: none}]}\n';
  const hashes = (destination: string) => forward(`{route: [{destination: ${destination}}]}`, url, { yaml: rule }).hashPolicy.map((policy) => ('name' in policy ? policy.name : policy.kind));
  assert.deepEqual(hashes('{host: details}'), ['all']);
  assert.deepEqual(hashes('{host: details, port: {number: 9080}}'), ['port']);
  assert.deepEqual(hashes('{host: details, subset: own}'), ['own']);
  assert.deepEqual(hashes('{host: details, subset: none}'), ['all']);
  assert.deepEqual(hashes('{host: ratings}'), []);
});

test('faults and CORS ride on their routes; a fault without percentage never happens', () => {
  const perFilter = (http: string) => {
    const push = meshOf([...bookinfo(), ...configsOf(`---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: rule}\nspec: {hosts: [reviews], http: [${http}]}\n`)]);
    const tables = jsonOf(translate(push, productpage(), { typeUrl: xdsType.route, names: ['9080'] })) as Record<string, { virtual_hosts: { name: string; routes: { typed_per_filter_config?: Record<string, unknown> }[] }[] }>;
    return tables['9080']?.virtual_hosts.find(({ name }) => name.startsWith('reviews'))?.routes[0]?.typed_per_filter_config ?? {};
  };
  const fault = (settings: string) => {
    const { '@type': _, ...rest } = perFilter(`{fault: ${settings}, ${route()}}`)['envoy.filters.http.fault'] as Record<string, unknown>;
    return rest;
  };
  const part = (numerator: number) => ({ ...(numerator === 0 ? {} : { numerator }), denominator: 'MILLION' });
  assert.deepEqual(fault('{abort: {httpStatus: 503, percentage: {value: 0.5}}}'), { abort: { http_status: 503, percentage: part(5000) } });
  assert.deepEqual(fault('{abort: {grpcStatus: UNAVAILABLE, percentage: {value: 100}}}'), { abort: { grpc_status: 14, percentage: part(1_000_000) } });
  assert.deepEqual(fault('{abort: {httpStatus: 503}}'), { abort: { http_status: 503, percentage: part(0) } });
  assert.deepEqual(fault('{delay: {fixedDelay: 5s, percentage: {value: 10}}}'), { delay: { fixed_delay: '5s', percentage: part(100_000) } });
  assert.deepEqual(fault('{delay: {fixedDelay: 5s, percent: 10}}'), { delay: { fixed_delay: '5s', percentage: part(100_000) } });
  const cors = (settings: string) => perFilter(`{corsPolicy: ${settings}, ${route()}}`)['envoy.filters.http.cors'] as Record<string, unknown>;
  const full = cors('{allowOrigins: [{exact: a}, {prefix: b}, {regex: c.*}], allowMethods: [GET, PUT], allowHeaders: [x-a, x-b], exposeHeaders: [x-c], maxAge: 24h, allowCredentials: true}');
  assert.deepEqual(full['allow_origin_string_match'], [{ exact: 'a' }, { prefix: 'b' }, { safe_regex: { regex: 'c.*' } }]);
  assert.deepEqual([full['allow_methods'], full['allow_headers'], full['expose_headers'], full['max_age'], full['allow_credentials'], full['forward_not_matching_preflights']], ['GET,PUT', 'x-a,x-b', 'x-c', '86400', true, true]);
  assert.deepEqual(cors('{allowOrigin: ["*"]}')['allow_origin_string_match'], [{ exact: '*' }]);
  assert.equal(cors('{unmatchedPreflights: IGNORE}')['forward_not_matching_preflights'], false);
});

test('a match may give its requests a statistic of their own', () => {
  assert.equal(matchOf(`{match: [{uri: {prefix: /}, statPrefix: mine}], ${route()}}`).statPrefix, 'mine');
});

test('requests to the application are tried again when it closed the connection first; settings of the mesh replace that, gRPC streams are left alone', () => {
  const inbound = (port: string, mesh: World['mesh'] = {}) => {
    const push = meshOf(configsOf(`---\napiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: {selector: {app: productpage}, ports: [${port}]}\n---\n${podYaml('p', '10.0.0.1', { labels: { app: 'productpage' } })}`), mesh);
    const chains = listenersOf(push, productpage()).get('virtualInbound')?.allFilterChains.flatMap(({ networkFilters }) => networkFilters) ?? [];
    const tables = chains.flatMap((filter) => (filter.kind === 'http_connection_manager' && filter.config.routes.kind === 'inline' ? [filter.config.routes.table] : []));
    return (tables.find(({ name }) => name === 'inbound|80||')?.match(headOf(url), 0, null)?.action as ForwardAction | undefined)?.retry ?? null;
  };
  assert.deepEqual([inbound('{name: http, port: 80}')?.numRetries, inbound('{name: http, port: 80}')?.on], [2, RetryOn['reset-before-request']]);
  assert.equal(inbound('{name: http, port: 80}', { defaultInboundHttpRetryPolicy: { attempts: 5, retryOn: '' } })?.numRetries, 5);
  assert.equal(inbound('{name: http, port: 80}', { defaultInboundHttpRetryPolicy: { attempts: 0, retryOn: '' } }), null);
  assert.equal(inbound('{name: grpc, port: 80}'), null);
});

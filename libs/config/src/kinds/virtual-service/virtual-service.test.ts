import assert from 'node:assert/strict';
import { test } from 'node:test';
import { table, verdict, type Bad } from '../../testing/verdict.ts';
import { virtualService } from './kind.ts';

const to = 'route: [{destination: {host: reviews}}]';
/** A VirtualService with one HTTP route made of these fields. */
const http = (fields: string): string => `{hosts: [reviews], http: [{${fields}}]}`;
const match = (fields: string): string => http(`match: [{${fields}}], ${to}`);
const tls = (sni: string, more = ''): string => `{hosts: ["*.shop.example"], tls: [{match: [{sniHosts: [${sni}]${more}}], ${to}}]}`;

/** Rows that differ only in the fields of one HTTP route. */
const routes = (rows: readonly (readonly [name: string, fields: string, path: string, reason: RegExp])[]): Bad[] =>
  rows.map(([name, fields, path, reason]) => [name, http(fields), path === '' ? 'spec.http[0]' : `spec.http[0].${path}`, reason]);

table(virtualService, {
  good: [
    ['one route', http(to)],
    ['a delegate without hosts', `{http: [{${to}}]}`],
    ['a delegating route', http('match: [{uri: {prefix: /a}}], delegate: {name: other, namespace: team}')],
    ['matches of every kind', match('uri: {regex: "/v[12]/.*"}, method: {exact: GET}, headers: {end-user: {exact: jason}, ":path": {prefix: /}}, port: 80, sourceLabels: {app: web}, queryParams: {q: {}}')],
    ['a header that must be absent', match('withoutHeaders: {x-debug: {regex: "*"}}')],
    ['snake_case, numeric strings and null', http('match: [{source_labels: {app: a}, port: "80", uri: null}], route: [{destination: {host: reviews, port: {number: 9080}}, weight: "1"}]')],
    ['delay and abort', http(`fault: {delay: {fixedDelay: 7s, percentage: {value: 100}}, abort: {httpStatus: 500, percentage: {value: 0.1}}}, ${to}`)],
    ['a redirect', http('redirect: {uri: /new, authority: other.example, redirectCode: 302}')],
    ['a direct response', http('directResponse: {status: 503, body: {string: sorry}}')],
    ['a rewrite by regex', http(`rewrite: {uriRegexRewrite: {match: "^/a/(.*)$", rewrite: '/\\1'}}, ${to}`)],
    ['header operations with formats', http(`headers: {request: {set: {Host: a.b, x-ip: "%DOWNSTREAM_REMOTE_ADDRESS%"}}, response: {add: {x-share: "100%%"}, remove: [server]}}, ${to}`)],
    ['retries on statuses', http(`retries: {attempts: 3, perTryTimeout: 2s, retryOn: "5xx,503,gateway-error"}, timeout: 500ms, ${to}`)],
    ['CORS', http(`corsPolicy: {allowOrigins: [{exact: "https://a.example"}], allowMethods: [GET, "*"], allowHeaders: [x-a], maxAge: 24h, allowCredentials: true}, ${to}`)],
    ['mirrors', http(`mirrors: [{destination: {host: reviews, subset: v2}, percentage: {value: 10}}], ${to}`)],
    ['weights of any sum', http('route: [{destination: {host: a}, weight: 3}, {destination: {host: b}, weight: 0}]')],
    ['SNI inside its hosts', tls('a.shop.example')],
    ['TCP by subnet', `{hosts: [db], tcp: [{match: [{port: 27017, destinationSubnets: [10.0.0.0/8]}], ${to}}]}`],
    ['an IP and a gateway', `{hosts: ["10.1.1.1"], gateways: [mesh, istio-system/public], http: [{${to}}]}`],
  ],
  bad: [
    ['no route at all', '{hosts: [reviews]}', 'spec', /at least one route/],
    ['a host that is no name', `{hosts: ["under_score"], http: [{${to}}]}`, 'spec.hosts[0]', /not a host name/],
    ['* on the mesh', `{hosts: ["*"], http: [{${to}}]}`, 'spec.hosts[0]', /mesh gateway/],
    ['overlapping hosts', `{hosts: ["*.example.com", a.example.com], http: [{${to}}]}`, 'spec.hosts[1]', /already covered/],
    ['a delegate with gateways', `{gateways: [gw], http: [{${to}}]}`, 'spec.gateways', /delegate/],
    ['a bad gateway name', `{hosts: [a], gateways: ["NS_/gw"], http: [{${to}}]}`, 'spec.gateways[0]', /namespace/],
    ['claims without a gateway', match('headers: {"@request.auth.claims.sub": {exact: a}}'), 'spec.http[0].match[0].headers["@request.auth.claims.sub"]', /gateway/],
    ['two kinds of match in one', match('uri: {exact: /a, prefix: /b}'), 'spec.http[0].match[0].uri', /only one of/],
    ['look-ahead', match('uri: {regex: "a(?=b)"}'), 'spec.http[0].match[0].uri.regex', /RE2/],
    ['an empty method prefix', match('method: {prefix: ""}'), 'spec.http[0].match[0].method.prefix', /empty/],
    ['a port out of range', match('port: 70000'), 'spec.http[0].match[0].port', /65535/],
    ['a header name with a space', match('headers: {"a b": {exact: c}}'), 'spec.http[0].match[0].headers["a b"]', /header name/],
    ['a null route', '{hosts: [a], http: [null]}', 'spec.http[0]', /null/],
    ['SNI outside its hosts', tls('a.other.example'), 'spec.tls[0].match[0].sniHosts[0]', /not covered/],
    ['TLS without a match', `{hosts: [a], tls: [{match: [], ${to}}]}`, 'spec.tls[0].match', /sniHosts/],
    ['a bad subnet', tls('a.shop.example', ', destinationSubnets: ["10.0.0.0/33"]'), 'spec.tls[0].match[0].destinationSubnets[0]', /CIDR/],
    ['TCP without a destination', '{hosts: [a], tcp: [{match: [{port: 1}]}]}', 'spec.tcp[0].route', /destination/],
    ['exportTo everyone and more', `{hosts: [a], exportTo: ["*", b], http: [{${to}}]}`, 'spec.exportTo', /alone/],
    ['an unknown field', `{hosts: [a], htpp: [{${to}}]}`, 'spec.htpp', /did you mean "http"/],
    ['a string for a list', '{hosts: reviews, http: []}', 'spec.hosts', /a list, found the string/],
    ['both spellings of a field', `{hosts: [a], exportTo: [], export_to: [], http: [{${to}}]}`, 'spec.export_to', /same field/],
    ...routes([
      ['neither route nor anything else', 'name: a', '', /one of route, redirect/],
      ['route and redirect', `${to}, redirect: {uri: /a}`, 'route', /beside redirect/],
      ['redirect and direct response', 'redirect: {uri: /a}, directResponse: {status: 200}', 'directResponse', /beside redirect/],
      ['fault and redirect', 'redirect: {uri: /a}, fault: {abort: {httpStatus: 500}}', 'fault', /beside redirect/],
      ['delegate and route', `${to}, delegate: {name: a}`, 'route', /beside delegate/],
      ['a negative weight', 'route: [{destination: {host: a}, weight: -1}]', 'route[0].weight', /negative/],
      ['weights that are all 0', 'route: [{destination: {host: a}}, {destination: {host: b}}]', 'route', /all be 0/],
      ['a destination without host', 'route: [{destination: {subset: a}}]', 'route[0].destination.host', /required/],
      ['destination *', 'route: [{destination: {host: "*"}}]', 'route[0].destination.host', /not a destination/],
      ['a subset that is no label', 'route: [{destination: {host: a, subset: "v_1"}}]', 'route[0].destination.subset', /subset name/],
      ['a weight with a fraction', 'route: [{destination: {host: a}, weight: 1.5}]', 'route[0].weight', /whole number/],
      ['an abort status of 100', `fault: {abort: {httpStatus: 100}}, ${to}`, 'fault.abort.httpStatus', /200…599/],
      ['an unknown gRPC status', `fault: {abort: {grpcStatus: NOTFOUND}}, ${to}`, 'fault.abort.grpcStatus', /did you mean "NOT_FOUND"/],
      ['two abort types', `fault: {abort: {httpStatus: 500, grpcStatus: OK}}, ${to}`, 'fault.abort', /only one of/],
      ['an empty fault', `fault: {}, ${to}`, 'fault', /delay or an abort/],
      ['a negative delay', `fault: {delay: {fixedDelay: -1s}}, ${to}`, 'fault.delay.fixedDelay', /at least 1ms/],
      ['101 percent', `fault: {delay: {fixedDelay: 1s, percentage: {value: 101}}}, ${to}`, 'fault.delay.percentage.value', /100/],
      ['a timeout without unit', `timeout: 5, ${to}`, 'timeout', /unit/],
      ['a timeout of 0', `timeout: 0s, ${to}`, 'timeout', /1ms/],
      ['a timeout finer than 1 ms', `timeout: 1500us, ${to}`, 'timeout', /whole milliseconds/],
      ['negative attempts', `retries: {attempts: -1}, ${to}`, 'retries.attempts', /negative/],
      ['settings for no attempts', `retries: {attempts: 0, perTryTimeout: 1s}, ${to}`, 'retries.attempts', /off/],
      ['an unknown retry condition', `retries: {attempts: 1, retryOn: "gateway-eror"}, ${to}`, 'retries.retryOn', /did you mean "gateway-error"/],
      ['a CORS method of small letters', `corsPolicy: {allowMethods: [get]}, ${to}`, 'corsPolicy.allowMethods[0]', /HTTP method/],
      ['a CORS age with a fraction', `corsPolicy: {maxAge: 1500ms}, ${to}`, 'corsPolicy.maxAge', /whole seconds/],
      ['an empty CORS origin', `corsPolicy: {allowOrigins: [{}]}, ${to}`, 'corsPolicy.allowOrigins[0]', /value/],
      ['removing Host', `headers: {request: {remove: [Host]}}, ${to}`, 'headers.request.remove[0]', /Host/],
      ['setting :path', `headers: {request: {set: {":path": /}}}, ${to}`, 'headers.request.set[":path"]', /pseudo/],
      ['a lone percent sign', `headers: {request: {set: {x: "50%"}}}, ${to}`, 'headers.request.set.x', /%%/],
      ['a line break in a header', `headers: {response: {add: {x: "a\\nb"}}}, ${to}`, 'headers.response.add.x', /control/],
      ['the authority twice', `rewrite: {authority: a}, headers: {request: {set: {host: b}}}, ${to}`, 'headers.request.set.host', /already set/],
      ['mirror and mirrors', `mirror: {host: a}, mirrors: [{destination: {host: b}}], ${to}`, 'mirrors', /beside mirror/],
      ['an empty rewrite', `rewrite: {}, ${to}`, 'rewrite', /at least one/],
      ['two rewrites', `rewrite: {uri: /a, uriRegexRewrite: {match: a, rewrite: b}}, ${to}`, 'rewrite.uriRegexRewrite', /beside uri/],
      ['an empty redirect', 'redirect: {}', 'redirect', /at least one/],
      ['redirect code 200', 'redirect: {uri: /a, redirectCode: 200}', 'redirect.redirectCode', /301/],
      ['redirect to ftp', 'redirect: {scheme: ftp}', 'redirect.scheme', /http or https/],
      ['both redirect ports', 'redirect: {port: 80, derivePort: FROM_REQUEST_PORT}', 'redirect', /only one of/],
      ['prefixRewrite after an exact match', 'match: [{uri: {exact: /a}}], redirect: {prefixRewrite: /b}', 'redirect.prefixRewrite', /prefix/],
      ['a direct response without status', 'directResponse: {}', 'directResponse.status', /required/],
    ]),
  ],
  warns: [
    ['a rule after a catch-all', `{hosts: [a], http: [{${to}}, {match: [{uri: {prefix: /}}], ${to}}]}`, 'spec.http[1]', /never used/],
    ['the same match twice', `{hosts: [a], http: [{match: [{name: x, port: 1}], ${to}}, {match: [{name: y, port: 1}], ${to}}]}`, 'spec.http[1].match[0]', /same match/],
    ['mirrorPercent', http(`mirror: {host: a}, mirrorPercent: 5, ${to}`), 'spec.http[0].mirrorPercent', /deprecated/],
    ['an abort of nothing', http(`fault: {abort: {percentage: {value: 5}}}, ${to}`), 'spec.http[0].fault.abort', /nothing/],
    ['the old way to name a gateway', `{hosts: [a], gateways: [gw.prod.svc.cluster.local], http: [{${to}}]}`, 'spec.gateways[0]', /prod\/gw/],
    ['an IP as SNI', tls('"10.0.0.1"'), 'spec.tls[0].match[0].sniHosts[0]', /SNI/],
  ],
});

test('names every mistake of an object, not just the first', () => {
  assert.equal(verdict(virtualService, http(`timeout: 5, retries: {attempts: x}, bogus: 1, ${to}`)).errors.length, 3);
});

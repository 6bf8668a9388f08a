import { table } from '../../testing/verdict.ts';
import { virtualService } from './kind.ts';

const to = 'route: [{destination: {host: reviews}}]';
const http = (fields: string): string => `{hosts: [reviews], http: [{${fields}}]}`;
const two = (first: string, second: string): string => `{hosts: [reviews], http: [{match: [{${first}}], ${to}}, {match: [{${second}}], ${to}}]}`;
const claim = 'headers: {"@request.auth.claims.sub": {exact: a}}';
const onGateways = (gateways: string, fields: string, host = 'reviews'): string => `{hosts: ["${host}"], gateways: [${gateways}], http: [{${fields}}]}`;

table(virtualService, {
  good: [
    ['a claim on gateways', onGateways('istio-system/public', `match: [{${claim}}], ${to}`)],
    ['* on a gateway', onGateways('public', to, '*')],
    ['hosts of automatic passthrough', `{hosts: ["outbound_.80_.v1_.reviews.shop.svc.cluster.local"], gateways: [public], tls: [{match: [{sniHosts: ["outbound_.80_.v1_.reviews.shop.svc.cluster.local"]}], ${to}}]}`],
    ['port 0 in a redirect: the port stays', http('redirect: {port: 0}')],
    ['a delegating route with mirror and mirrors, which the delegate decides', http('delegate: {name: a}, mirror: {host: a}, mirrors: [{destination: {host: b}}]')],
    ['a tenth of a thousandth of a percent', http(`fault: {delay: {fixedDelay: 1s, percentage: {value: 0.0001}}}, ${to}`)],
    ['retries on statuses with a name', http(`retries: {attempts: 1, retryOn: "429,503,511"}, ${to}`)],
    ['an empty prefix of the path', http(`match: [{uri: {prefix: ""}}], ${to}`)],
    ['prefixes that do not begin alike', two('uri: {prefix: /a}', 'uri: {prefix: /b}')],
    ['a longer prefix first', two('uri: {prefix: /api/v2}', 'uri: {prefix: /api}')],
    ['a longer prefix on another port', two('uri: {prefix: /api}, port: 80', 'uri: {prefix: /api/v2}, port: 81')],
    ['a longer prefix with another method', two('uri: {prefix: /api}, method: {exact: POST}', 'uri: {prefix: /api/v2}, method: {exact: PUT}')],
    ['a longer prefix behind one that asks for a header', two('uri: {prefix: /api}, headers: {a: {exact: b}}', 'uri: {prefix: /api/v2}')],
    ['the root with authority in capitals', http(`match: [{authority: {exact: REVIEWS}}], ${to}`)],
    ['a label value of 63 letters', http(`match: [{sourceLabels: {app: ${'a'.repeat(63)}}}], ${to}`)],
  ],
  bad: [
    ['a claim on gateways and the mesh', onGateways('mesh, public', `match: [{${claim}}], ${to}`), 'spec.http[0].match[0].headers["@request.auth.claims.sub"]', /without mesh/],
    ['* on a gateway and the mesh', onGateways('mesh, public', to, '*'), 'spec.hosts[0]', /mesh gateway/],
    ['half of the smallest percentage', http(`fault: {delay: {fixedDelay: 1s, percentage: {value: 0.00005}}}, ${to}`), 'spec.http[0].fault.delay.percentage.value', /0\.0001/],
    ['retries on a status nobody named', http(`retries: {attempts: 1, retryOn: "599"}, ${to}`), 'spec.http[0].retries.retryOn', /599/],
    ['a delegate’s own mirror and mirrors', `{http: [{${to}, mirror: {host: a}, mirrors: [{destination: {host: b}}]}]}`, 'spec.http[0].mirrors', /beside mirror/],
    ['a redirect port beyond 65535', http('redirect: {port: 70000}'), 'spec.http[0].redirect.port', /65535/],
    ['a regex of 1025 characters', http(`match: [{uri: {regex: ${'a'.repeat(1025)}}}], ${to}`), 'spec.http[0].match[0].uri.regex', /1024/],
    ['a per-try timeout of 0', http(`retries: {attempts: 1, perTryTimeout: 0s}, ${to}`), 'spec.http[0].retries.perTryTimeout', /1ms/],
    ['a CORS age of 0', http(`corsPolicy: {maxAge: 0s}, ${to}`), 'spec.http[0].corsPolicy.maxAge', /1ms/],
    ['an exponential delay', http(`fault: {delay: {exponentialDelay: 1s}}, ${to}`), 'spec.http[0].fault.delay.exponentialDelay', /not supported/],
    ['an HTTP/2 error', http(`fault: {abort: {http2Error: REFUSED_STREAM}}, ${to}`), 'spec.http[0].fault.abort.http2Error', /not supported/],
    ['a source namespace that is none', http(`match: [{sourceNamespace: "a_b"}], ${to}`), 'spec.http[0].match[0].sourceNamespace', /namespace/],
    ['a rewrite by an empty regex', http(`rewrite: {uriRegexRewrite: {match: "", rewrite: /}}, ${to}`), 'spec.http[0].rewrite.uriRegexRewrite', /match/],
    ['mirroring 101 percent', http(`mirrors: [{destination: {host: a}, percentage: {value: 101}}], ${to}`), 'spec.http[0].mirrors[0].percentage.value', /100/],
    ['a mirror to *', http(`mirror: {host: "*"}, ${to}`), 'spec.http[0].mirror.host', /not a destination/],
    ['a body of 2 MiB', http(`directResponse: {status: 200, body: {string: ${'a'.repeat(2 * 1024 * 1024)}}}`), 'spec.http[0].directResponse.body', /1048576/],
    ['a weight beyond int32', http('route: [{destination: {host: a}, weight: 3000000000}]'), 'spec.http[0].route[0].weight', /2147483647/],
  ],
  warns: [
    ['a prefix that an earlier one takes', two('uri: {prefix: /api}', 'uri: {prefix: /api/v2}'), 'spec.http[1].match[0]', /\/api of rule 0/],
    ['the same with a header alike', two('uri: {prefix: /a}, headers: {x: {exact: b}}', 'uri: {prefix: /ab}, headers: {x: {exact: b}}'), 'spec.http[1].match[0]', /never used/],
    ['a label value of 64 letters', http(`match: [{sourceLabels: {app: ${'a'.repeat(64)}}}], ${to}`), 'spec.http[0].match[0].sourceLabels.app', /matches nothing/],
    ['a body of 200 KiB', http(`directResponse: {status: 200, body: {string: ${'a'.repeat(200 * 1024)}}}`), 'spec.http[0].directResponse.body', /memory/],
  ],
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '../../decode.ts';
import { toRawObject } from '../../envelope.ts';
import { table } from '../../testing/verdict.ts';
import { ingress } from '../kubernetes/ingress/kind.ts';
import { secret } from '../kubernetes/secret/kind.ts';
import { isOfKind, kindByAlias } from '../registry.ts';
import { backendTlsPolicy } from './backend-tls-policy/kind.ts';
import { gatewayClass, kubeGateway, listenerSet } from './gateway/kind.ts';
import { grpcRoute } from './grpc-route/kind.ts';
import { httpRoute } from './http-route/kind.ts';
import { tcpRoute, tlsRoute } from './l4-route/kind.ts';
import { referenceGrant } from './reference-grant/kind.ts';

const rule = (text: string): string => `{parentRefs: [{name: gw}], rules: [{${text}}]}`;
const match = (text: string): string => rule(`matches: [{${text}}], backendRefs: [{name: a, port: 80}]`);
const filter = (text: string, more = ''): string => rule(`filters: [${text}]${more}`);
const prefix = 'matches: [{path: {value: /a}}]';

table(httpRoute, {
  good: [
    ['a route of the whole mesh', '{parentRefs: [{kind: Service, group: "", name: a, port: 80}], hostnames: ["*.example.com"], rules: [{backendRefs: [{name: a, port: 80, weight: 0}]}]}'],
    ['every match', match('path: {type: Exact, value: /a}, method: GET, headers: [{name: x, value: "1"}], queryParams: [{type: RegularExpression, name: q, value: "[0-9]+"}]')],
    ['a redirect that replaces the prefix', rule(`${prefix}, filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]`)],
    ['two mirrors', filter('{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, percent: 10}}, {type: RequestMirror, requestMirror: {backendRef: {name: b, port: 80}, fraction: {numerator: 1, denominator: 3}}}')],
    ['timeouts and retries', rule('timeouts: {request: 10s, backendRequest: 1s500ms}, retry: {codes: [503], attempts: 3, backoff: 25ms}')],
    ['CORS', filter('{type: CORS, cors: {allowOrigins: ["https://*.example.com:8443"], allowMethods: [GET], maxAge: 60}}')],
    ['two listeners of one gateway', '{parentRefs: [{name: gw, sectionName: a}, {name: gw, sectionName: b}]}'],
  ],
  bad: [
    ['a host with a port', '{hostnames: ["a.example:80"]}', 'spec.hostnames[0]', /host name/],
    ['one parent twice', '{parentRefs: [{name: gw}, {name: gw}]}', 'spec.parentRefs[1]', /again/],
    ['one listener twice', '{parentRefs: [{name: gw, sectionName: a}, {name: gw, sectionName: a}]}', 'spec.parentRefs[1]', /already/],
    ['a path without slash', match('path: {value: a}'), 'spec.rules[0].matches[0].path.value', /start with/],
    ['a path with dots', match('path: {value: /a/../b}'), 'spec.rules[0].matches[0].path.value', /normalization/],
    ['an unknown path type', match('path: {type: Prefix, value: /a}'), 'spec.rules[0].matches[0].path.type', /one of PathPrefix/],
    ['a pattern that is not RE2', match('path: {type: RegularExpression, value: "(?=a)"}'), 'spec.rules[0].matches[0].path.value', /RE2/],
    ['an unknown method', match('method: get'), 'spec.rules[0].matches[0].method', /GET/],
    ['a header matched twice', match('headers: [{name: x, value: "1"}, {name: x, value: "2"}]'), 'spec.rules[0].matches[0].headers[1].name', /already/],
    ['a redirect with backends', rule('filters: [{type: RequestRedirect, requestRedirect: {}}], backendRefs: [{name: a, port: 80}]'), 'spec.rules[0].backendRefs', /RequestRedirect/],
    ['a prefix replaced under an exact path', rule('matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]'), 'spec.rules[0].filters[0]', /PathPrefix/],
    ['a filter without its field', filter('{type: RequestMirror}'), 'spec.rules[0].filters[0].requestMirror', /required/],
    ['a filter with another field', filter('{type: RequestHeaderModifier, requestHeaderModifier: {}, cors: {}}'), 'spec.rules[0].filters[0].cors', /type RequestHeaderModifier/],
    ['a filter twice', filter('{type: URLRewrite, urlRewrite: {hostname: a}}, {type: URLRewrite, urlRewrite: {hostname: b}}'), 'spec.rules[0].filters[1]', /second/],
    ['redirect and rewrite', filter('{type: URLRewrite, urlRewrite: {}}, {type: RequestRedirect, requestRedirect: {}}'), 'spec.rules[0].filters', /exclude/],
    ['percent and fraction', filter('{type: RequestMirror, requestMirror: {backendRef: {name: a, port: 80}, percent: 1, fraction: {numerator: 1}}}'), 'spec.rules[0].filters[0].requestMirror', /only one/],
    ['a backend without port', rule('backendRefs: [{name: a}]'), 'spec.rules[0].backendRefs[0].port', /required/],
    ['a weight beyond a million', rule('backendRefs: [{name: a, port: 80, weight: 1000001}]'), 'spec.rules[0].backendRefs[0].weight', /range/],
    ['a backend timeout longer than the request', rule('timeouts: {request: 1s, backendRequest: 2s}'), 'spec.rules[0].timeouts.backendRequest', /longer/],
    ['a fraction of a second', rule('timeouts: {request: 1.5s}'), 'spec.rules[0].timeouts.request', /whole numbers/],
    ['an unknown field', rule('backendRef: []'), 'spec.rules[0].backendRef', /did you mean "backendRefs"/],
    ['a redirect code that is none', filter('{type: RequestRedirect, requestRedirect: {statusCode: 200}}'), 'spec.rules[0].filters[0].requestRedirect.statusCode', /301/],
    ['"*" besides other origins', filter('{type: CORS, cors: {allowOrigins: ["*", "https://a.example"]}}'), 'spec.rules[0].filters[0].cors.allowOrigins', /alone/],
  ],
});

table(grpcRoute, {
  good: [['service and method', '{parentRefs: [{name: gw}], rules: [{matches: [{method: {service: shop.Cart, method: Add}, headers: [{name: x, value: "1"}]}], backendRefs: [{name: a, port: 80}]}]}']],
  bad: [
    ['neither service nor method', '{rules: [{matches: [{method: {}}]}]}', 'spec.rules[0].matches[0].method', /one of service, method/],
    ['a service with a slash', '{rules: [{matches: [{method: {service: a/b}}]}]}', 'spec.rules[0].matches[0].method.service', /gRPC service/],
    ['a redirect', '{rules: [{filters: [{type: RequestRedirect}]}]}', 'spec.rules[0].filters[0].type', /one of/],
  ],
});

table(tlsRoute, {
  good: [['a server name', '{parentRefs: [{name: gw}], hostnames: [a.example], rules: [{backendRefs: [{name: a, port: 443}]}]}']],
  bad: [['an address', '{hostnames: [10.0.0.1], rules: [{backendRefs: [{name: a, port: 443}]}]}', 'spec.hostnames[0]', /name/]],
});
table(tcpRoute, { good: [['a backend', '{rules: [{backendRefs: [{name: a, port: 443}]}]}']], bad: [['no rule', '{parentRefs: [{name: gw}]}', 'spec.rules', /required/]] });

const listener = (text: string): string => `{gatewayClassName: istio, listeners: [{name: a, port: 80, ${text}}]}`;

table(kubeGateway, {
  good: [
    ['HTTP of every namespace', listener('protocol: HTTP, hostname: "*.example.com", allowedRoutes: {namespaces: {from: All}, kinds: [{kind: HTTPRoute}]}')],
    ['HTTPS with a certificate', listener('protocol: HTTPS, tls: {certificateRefs: [{name: cert, namespace: other}]}')],
    ['an existing Service', `{gatewayClassName: istio, addresses: [{type: Hostname, value: gw.istio-system.svc.cluster.local}], listeners: [{name: a, port: 80, protocol: HTTP}]}`],
  ],
  bad: [
    ['no listener', '{gatewayClassName: istio, listeners: []}', 'spec.listeners', /at least 1/],
    ['one name twice', '{gatewayClassName: istio, listeners: [{name: a, port: 80, protocol: HTTP}, {name: a, port: 81, protocol: HTTP}]}', 'spec.listeners[1].name', /already/],
    ['one place twice', '{gatewayClassName: istio, listeners: [{name: a, port: 80, protocol: HTTP}, {name: b, port: 80, protocol: HTTP}]}', 'spec.listeners[1]', /same port/],
    ['TLS on plain HTTP', listener('protocol: HTTP, tls: {certificateRefs: [{name: a}]}'), 'spec.listeners[0].tls', /HTTP/],
    ['HTTPS passed through', listener('protocol: HTTPS, tls: {mode: Passthrough}'), 'spec.listeners[0].tls.mode', /Terminate/],
    ['TLS without certificate', listener('protocol: HTTPS, tls: {}'), 'spec.listeners[0].tls', /certificateRefs/],
    ['a host for TCP', listener('protocol: TCP, hostname: a.example'), 'spec.listeners[0].hostname', /TCP/],
    ['a selector that is missing', listener('protocol: HTTP, allowedRoutes: {namespaces: {from: Selector}}'), 'spec.listeners[0].allowedRoutes.namespaces.selector', /required/],
  ],
  warns: [['HTTPS without tls', listener('protocol: HTTPS'), 'spec.listeners[0].tls', /serves nothing/]],
});

table(gatewayClass, { good: [['a controller', '{controllerName: istio.io/gateway-controller}']], bad: [['a controller without path', '{controllerName: istio}', 'spec.controllerName', /controller name/]] });
table(listenerSet, { good: [['more listeners', '{parentRef: {name: gw}, listeners: [{name: b, port: 81, protocol: HTTP}]}']], bad: [['no parent', '{listeners: [{name: b, port: 81, protocol: HTTP}]}', 'spec.parentRef', /required/]] });
table(referenceGrant, {
  good: [['routes to Services', `{from: [{group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: a}], to: [{group: "", kind: Service}]}`]],
  bad: [['nobody', '{from: [], to: [{group: "", kind: Service}]}', 'spec.from', /at least 1/]],
});
table(backendTlsPolicy, {
  good: [['the system\'s roots', '{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.example, wellKnownCACertificates: System}}']],
  bad: [
    ['no roots', '{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.example}}', 'spec.validation', /must be set/],
    ['both kinds of roots', '{targetRefs: [{group: "", kind: Service, name: a}], validation: {hostname: a.example, wellKnownCACertificates: System, caCertificateRefs: [{group: "", kind: ConfigMap, name: ca}]}}', 'spec.validation', /only one/],
    ['one target twice', '{targetRefs: [{group: "", kind: Service, name: a}, {group: "", kind: Service, name: a}], validation: {hostname: a.example, wellKnownCACertificates: System}}', 'spec.targetRefs[1]', /again/],
  ],
});

const path = (text: string): string => `{rules: [{host: a.example, http: {paths: [{${text}, backend: {service: {name: a, port: {number: 80}}}}]}}]}`;
table(ingress, {
  good: [['a prefix', path('path: /a, pathType: Prefix')], ['a named port', '{rules: [{http: {paths: [{path: /, pathType: Exact, backend: {service: {name: a, port: {name: http}}}}]}}]}']],
  bad: [
    ['nothing', '{}', 'spec', /one of defaultBackend, rules/],
    ['a relative path', path('path: a, pathType: Prefix'), 'spec.rules[0].http.paths[0].path', /start with/],
    ['number and name', '{defaultBackend: {service: {name: a, port: {number: 80, name: http}}}}', 'spec.defaultBackend.service.port', /exactly one/],
  ],
  warns: [['a default backend', '{defaultBackend: {service: {name: a, port: {number: 80}}}}', 'spec.defaultBackend', /no effect/]],
});

table(secret, { good: [['a certificate', '{type: kubernetes.io/tls, data: {tls.crt: YQ==, tls.key: YQ==}}']], bad: [] });

test('a Secret keeps the names of what it holds, never the values, also not in an error', () => {
  const of = (object: object) => {
    const raw = toRawObject({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' }, ...object });
    assert.ok(raw.ok);
    return decode(raw.value);
  };
  const good = of({ type: 'Opaque', data: { b: 'c2VjcmV0' }, stringData: { a: 'secret' } });
  assert.ok(good.ok && isOfKind(good.value.config, secret));
  assert.deepEqual(good.value.config.spec, { type: 'Opaque', keys: ['a', 'b'] });
  assert.doesNotMatch(JSON.stringify(good), /c2VjcmV0|secret"/);
  assert.doesNotMatch(JSON.stringify(of({ data: { b: 12345 }, type: 7 })), /12345/);
});

test('"gateway" alone is Istio\'s; the other is named with its group, or gtw', () => {
  assert.equal(kindByAlias('gateway')?.group, 'networking.istio.io');
  assert.equal(kindByAlias('gtw')?.group, 'gateway.networking.k8s.io');
  assert.equal(kindByAlias('gateways.gateway.networking.k8s.io')?.group, 'gateway.networking.k8s.io');
});

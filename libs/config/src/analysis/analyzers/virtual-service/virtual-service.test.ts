import { analyzers } from '../../analyzers.ts';
import { cases, documents, object } from '../../testing/cases.ts';
import { destinationHosts } from './destination-hosts.ts';
import { destinationSubsets } from './destination-rules.ts';
import { virtualServiceGateways } from './gateways.ts';
import { jwtClaimRoutes } from './jwt-claim-routes.ts';
import { meshHosts } from './mesh-hosts.ts';

const routing = (name: string, spec: string, namespace = 'default') => object('networking.istio.io/v1', 'VirtualService', `{name: ${name}, namespace: ${namespace}}`, `spec: ${spec}`);
const to = (destination: string, more = '') => `{hosts: [a.example.com], http: [{route: [{destination: ${destination}}]${more}}]}`;
const service = (name: string, ports: string, { namespace = 'default', metadata = '' } = {}) => object('v1', 'Service', `{name: ${name}, namespace: ${namespace}${metadata}}`, `spec: {ports: [${ports}]}`);
const one = service('cart', '{name: http, port: 80}');
const two = service('cart', '{name: http, port: 80}, {name: tcp, port: 81}');
const entry = (hosts: string, more = '') => object('networking.istio.io/v1', 'ServiceEntry', '{name: e}', `spec: {hosts: [${hosts}], ports: [{number: 80, name: http, protocol: HTTP}]${more}}`);

cases(destinationHosts, {
  'a host nobody has': { yaml: documents(routing('v', to('{host: chart}')), one), finds: [['IST0101 VirtualService v.default', 4, /The host .*"chart"/]] },
  'a short name means the namespace of the rule': { yaml: documents(routing('v', to('{host: cart}'), 'shop'), one), finds: [['IST0101 VirtualService v.shop', 4, /"cart"/]] },
  'a full name': { yaml: documents(routing('v', to('{host: cart.default.svc.cluster.local}'), 'shop'), one), finds: [] },
  'a mirror nobody has': { yaml: documents(routing('v', to('{host: cart}', ', mirror: {host: mirror}, mirrors: [{destination: {host: other}}]')), one), finds: [['IST0101 VirtualService v.default', 4, /mirror host.*"mirror"/], ['IST0101 VirtualService v.default', 4, /mirror host.*"other"/]] },
  'TCP and TLS routes': { yaml: routing('v', '{hosts: [a.example.com], tcp: [{route: [{destination: {host: t}}]}], tls: [{match: [{sniHosts: [a.example.com]}], route: [{destination: {host: u}}]}]}'), finds: [['IST0101 VirtualService v.default', 4, /"t"/], ['IST0101 VirtualService v.default', 4, /"u"/]] },
  'one of several ports has to be named': { yaml: documents(routing('v', to('{host: cart}')), two), finds: [['IST0112 VirtualService v.default', 4, /"cart" has the ports 80, 81/]] },
  'a port the service has': { yaml: documents(routing('v', to('{host: cart, port: {number: 81}}')), two), finds: [] },
  'a port it does not have': { yaml: documents(routing('v', to('{host: cart, port: {number: 82}}')), one), finds: [['IST0101 VirtualService v.default', 4, /host:port.*"cart:82"/]] },
  'a host of a ServiceEntry, also under its wildcard': { yaml: documents(routing('v', to('{host: b.example.com}')), routing('w', to('{host: c.example.org}')), entry('b.example.com, "*.example.org"')), finds: [] },
  'a ServiceEntry of another namespace that keeps it': { yaml: documents(routing('v', to('{host: b.example.com}'), 'shop'), entry('b.example.com', ', exportTo: ["."]')), finds: [['IST0101 VirtualService v.shop', 4, /./]] },
  'a service its owner keeps': { yaml: documents(routing('v', to('{host: cart.bank.svc.cluster.local}')), service('cart', '{name: http, port: 80}', { namespace: 'bank', metadata: ', annotations: {networking.istio.io/exportTo: "."}' })), finds: [['IST0101 VirtualService v.default', 4, /./]] },
  'subsets of the mesh that a gateway does not see': {
    yaml: documents(routing('v', '{hosts: [a.example.com], gateways: [g], http: [{route: [{destination: {host: cart}}]}]}'), routing('w', '{hosts: [cart], http: [{route: [{destination: {host: cart, subset: v1}}]}]}'), one),
    finds: [['IST0140 VirtualService v.default', 4, /VirtualService default\/w .*VirtualService default\/v/]],
  },
});

const rule = (subsets: string, namespace = 'default') => object('networking.istio.io/v1', 'DestinationRule', `{name: r, namespace: ${namespace}}`, `spec: {host: cart, subsets: [${subsets}]}`);

cases(destinationSubsets, {
  'a subset nobody defines': { yaml: documents(routing('v', to('{host: cart, subset: v2}')), rule('{name: v1}')), finds: [['IST0101 VirtualService v.default', 4, /host\+subset in destinationrule.*"cart\+v2"/]] },
  'a mirror\'s subset nobody defines': { yaml: documents(routing('v', to('{host: cart, subset: v1}', ', mirror: {host: cart, subset: v2}')), rule('{name: v1}')), finds: [['IST0101 VirtualService v.default', 4, /mirror\+subset.*"cart\+v2"/]] },
  'a subset by the short and by the full name': { yaml: documents(routing('v', to('{host: cart, subset: v1}')), routing('w', to('{host: cart.default.svc.cluster.local, subset: v1}'), 'shop'), rule('{name: v1}')), finds: [] },
  'a rule of another namespace is for another service': { yaml: documents(routing('v', to('{host: cart, subset: v1}')), rule('{name: v1}', 'shop')), finds: [['IST0101 VirtualService v.default', 4, /./]] },
  'no subset': { yaml: routing('v', to('{host: cart}')), finds: [] },
});

const mesh = (name: string, host: string, { more = '', namespace = 'default' } = {}) => routing(name, `{hosts: ["${host}"], http: [{redirect: {uri: /}}]${more}}`, namespace);

cases(meshHosts, {
  'two for one host': { yaml: documents(mesh('v', 'cart'), mesh('w', 'cart.default.svc.cluster.local')), finds: [['IST0109 VirtualService v.default', 3, /default\/v,default\/w .*cart\.default\.svc\.cluster\.local/], ['IST0109 VirtualService w.default', 8, /./]] },
  'one name in two namespaces': { yaml: documents(mesh('v', 'cart'), mesh('v', 'cart', { namespace: 'shop' })), finds: [] },
  'one of them for a gateway': { yaml: documents(mesh('v', 'a.example.com'), mesh('w', 'a.example.com', { more: ', gateways: [g]' })), finds: [] },
  'one of them for a gateway and the mesh': { yaml: documents(mesh('v', 'a.example.com'), mesh('w', 'a.example.com', { more: ', gateways: [g, mesh]' })), finds: [['IST0109 VirtualService v.default', 3, /./], ['IST0109 VirtualService w.default', 8, /./]] },
  'seen by different namespaces': { yaml: documents(mesh('v', 'a.example.com', { more: ', exportTo: ["."]' }), mesh('w', 'a.example.com', { more: ', exportTo: ["."]', namespace: 'shop' })), finds: [] },
  'one for a namespace, one for all under a wildcard': { yaml: documents(mesh('v', 'a.example.com', { more: ', exportTo: [shop]' }), mesh('w', '*.example.com')), finds: [['IST0109 VirtualService v.default', 3, /./], ['IST0109 VirtualService w.default', 8, /./]] },
});

const gateway = (hosts: string, namespace = 'default') => object('networking.istio.io/v1', 'Gateway', `{name: g, namespace: ${namespace}}`, `spec: {selector: {app: gate}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: [${hosts}]}]}`);
const at = (gateways: string, namespace = 'default') => routing('v', `{hosts: [a.example.com], gateways: [${gateways}], http: [{redirect: {uri: /}}]}`, namespace);
const kubernetes = (listener: string) => object('gateway.networking.k8s.io/v1', 'Gateway', '{name: k}', `spec: {gatewayClassName: istio, listeners: [{name: l, port: 80, protocol: HTTP${listener}}]}`);

cases(virtualServiceGateways, {
  'a gateway that does not exist': { yaml: at('h'), finds: [['IST0101 VirtualService v.default', 4, /gateway.*"h"/], ['IST0132 VirtualService v.default', 4, /default\/h/]] },
  'a gateway that does not serve the host': { yaml: documents(at('g'), gateway('b.example.com')), finds: [['IST0132 VirtualService v.default', 4, /"a\.example\.com" of VirtualService default\/v .*Gateway default\/g/]] },
  'a gateway that does, by its wildcard and in another namespace': { yaml: documents(at('other/g, mesh'), gateway('"*.example.com"', 'other')), finds: [] },
  'hosts a gateway keeps to its namespace': { yaml: documents(at('g'), at('default/g', 'shop'), gateway('"./a.example.com"')), finds: [['IST0132 VirtualService v.shop', 9, /./]] },
  'hosts for one namespace, and for all': { yaml: documents(at('default/g', 'shop'), gateway('"shop/a.example.com"')) + '---\n' + documents(at('other/g', 'bank'), gateway('"*/*.example.com"', 'other')), finds: [] },
  'a Kubernetes Gateway without and with a host name': { yaml: documents(at('k'), kubernetes('')), finds: [] },
  'a Kubernetes Gateway of another host': { yaml: documents(at('k'), kubernetes(', hostname: b.example.com')), finds: [['IST0132 VirtualService v.default', 4, /./]] },
  'a gateway the control plane made': { yaml: at('default/k~istio-autogenerated-k8s-gateway~l'), finds: [['IST0165 VirtualService v.default', 4, /k~istio-autogenerated/]] },
});

const claims = (header: string) => routing('v', `{hosts: [a.example.com], gateways: [g], http: [{match: [{headers: {"${header}": {exact: admin}}}], redirect: {uri: /}}]}`);
const pod = object('v1', 'Pod', '{name: gate-1, labels: {app: gate}}', 'spec: {containers: [{name: a}]}');
const authentication = (namespace: string, selector = '{app: gate}') => object('security.istio.io/v1', 'RequestAuthentication', `{name: r, namespace: ${namespace}}`, `spec: {selector: {matchLabels: ${selector}}, jwtRules: [{issuer: a}]}`);

cases(jwtClaimRoutes, {
  'claims nobody validates': { yaml: documents(claims('@request.auth.claims.group'), gateway('a.example.com'), pod), finds: [['IST0149 VirtualService v.default', 4, /@request\.auth\.claims\.group.*gate-1 of gateway default\/g/]] },
  'claims in brackets': { yaml: documents(claims('@request.auth.claims[group]'), gateway('a.example.com'), pod), finds: [['IST0149 VirtualService v.default', 4, /./]] },
  'claims validated beside the pod, or for all from the root namespace': { yaml: documents(claims('@request.auth.claims.group'), gateway('a.example.com'), pod, authentication('default')), finds: [] },
  'validated in the root namespace': { yaml: documents(claims('@request.auth.claims.group'), gateway('a.example.com'), pod, authentication('istio-system')), finds: [] },
  'validated for other pods': { yaml: documents(claims('@request.auth.claims.group'), gateway('a.example.com'), pod, authentication('default', '{app: other}')), finds: [['IST0149 VirtualService v.default', 4, /./]] },
  'other headers': { yaml: documents(claims('x-group'), gateway('a.example.com'), pod), finds: [] },
});

const http = (rules: string) => routing('v', `{hosts: [cart], http: [${rules}]}`);
const match = (...matches: string[]) => `{match: [${matches.join(', ')}], redirect: {uri: /}}`;
const prefix = (text: string, more = '') => `{uri: {prefix: ${text}}${more}}`;
const schema = analyzers.find((analyzer) => analyzer.name === 'schema.ValidationAnalyzer.VirtualService') ?? destinationHosts;

cases(schema, {
  'a second rule without a match': { yaml: http('{redirect: {uri: /}}, {redirect: {uri: /}}'), finds: [['IST0130 VirtualService v.default', 4, /#1 .*only the last rule/]] },
  'a rule behind one without a match': { yaml: http(`{redirect: {uri: /}}, ${match(prefix('/a'))}`), finds: [['IST0130 VirtualService v.default', 4, /#1 .*takes everything/]] },
  'a rule whose matches are all taken, by its name': { yaml: http(`${match(prefix('/a'))}, {name: again, match: [${prefix('/a', ', name: same')}], redirect: {uri: /}}`), finds: [['IST0130 VirtualService v.default', 4, /"again"/], ['IST0131 VirtualService v.default', 4, /"again": match "same".*rule #0/]] },
  'a match that is taken': { yaml: http(`${match(prefix('/a'))}, ${match(prefix('/b'), prefix('/a'))}`), finds: [['IST0131 VirtualService v.default', 4, /#1: match #1.*rule #0/]] },
  'a longer prefix behind a shorter one': { yaml: http(`${match(prefix('/a'))}, ${match(prefix('/a/b'))}`), finds: [['IST0131 VirtualService v.default', 4, /#0 of prefix \/a\/b.*#0 of prefix \/a of rule #0/]] },
  'a shorter prefix behind a longer one': { yaml: http(`${match(prefix('/a/b'))}, ${match(prefix('/a'))}`), finds: [] },
  'the same with other methods, ports or headers': { yaml: http(`${match(prefix('/a', ', method: {exact: POST}'))}, ${match(prefix('/a', ', port: 80'))}, ${match(prefix('/a', ', headers: {x: {exact: y}}'))}, ${match(prefix('/a/b'))}`), finds: [] },
  'TCP and TLS alike': {
    yaml: routing('v', '{hosts: [a.example.com], tcp: [{match: [{port: 1}], route: [{destination: {host: a}}]}, {match: [{port: 1}], route: [{destination: {host: a}}]}], tls: [{match: [{port: 2, sniHosts: [a.example.com]}], route: [{destination: {host: a}}]}, {match: [{port: 3, sniHosts: [a.example.com]}, {port: 2, sniHosts: [a.example.com]}], route: [{destination: {host: a}}]}]}'),
    finds: [['IST0130 VirtualService v.default', 4, /#1/], ['IST0131 VirtualService v.default', 4, /#1: match #0/], ['IST0131 VirtualService v.default', 4, /#1: match #1/]],
  },
});

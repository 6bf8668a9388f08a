import { cases, object } from '../../testing/cases.ts';
import { portNames } from './port-names.ts';

const service = (port: string, { metadata = '{name: a}', type = 'ClusterIP' } = {}) => object('v1', 'Service', metadata, `spec: {type: ${type}, ports: [${port}]}`);

cases(portNames, {
  'a name without a protocol': { yaml: service('{name: web, port: 9000, targetPort: 8080}'), finds: [['IST0118 Service a.default', 4, /"web" of port 9000 \(targetPort 8080\)/]] },
  'no name': { yaml: service('{port: 9000}'), finds: [['IST0118 Service a.default', 4, /targetPort 0/]] },
  'names with a protocol, with and without more': { yaml: service('{name: http, port: 1}, {name: HTTP2-a, port: 2}, {name: grpc-web-b, port: 3}, {name: tls-c, port: 4}, {name: mongo, port: 5}'), finds: [] },
  'a protocol that only begins the name': { yaml: service('{name: httpx, port: 1}'), finds: [['IST0118 Service a.default', 4, /httpx/]] },
  'an appProtocol': { yaml: service('{name: web, appProtocol: http, port: 1}, {name: ws, appProtocol: kubernetes.io/ws, port: 2}'), finds: [] },
  'an appProtocol that is none goes before a name': { yaml: service('{name: http, appProtocol: example.com/x, port: 1}'), finds: [['IST0118 Service a.default', 4, /"http"/]] },
  'UDP, and ports known to be TCP': { yaml: service('{name: dns, port: 1053, protocol: UDP}, {name: db, port: 3306}'), finds: [] },
  'the control plane and gateways of Kubernetes': { yaml: service('{name: web, port: 1}', { metadata: '{name: a, labels: {istio: pilot}}' }) + '---\n' + service('{name: web, port: 1}', { metadata: '{name: b, labels: {gateway.istio.io/managed: istio.io-gateway-controller}}' }), finds: [] },
  'an external name, also when its port says TCP': { yaml: service('{name: tcp, port: 1}, {name: web, port: 2}', { type: 'ExternalName' }), finds: [['IST0150 Service a.default', 4, /ExternalName/]] },
  'an external name with HTTP': { yaml: service('{name: http, port: 1}', { type: 'ExternalName' }), finds: [] },
});

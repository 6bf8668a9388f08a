import type { Analyzer } from '../../analyzer.ts';
import type { SourceFix } from '../../fix/source-fix.ts';
import { isControlPlane } from '../../kubernetes/in-mesh.ts';
import type { ServicePort } from '../../kubernetes/service.ts';
import { messages } from '../../messages/messages.ts';

const managedByGateways = ['istio.io-gateway-controller', 'istio.io-mesh-controller', 'istio.io-eastwest-controller'];
const protocols = ['tcp', 'udp', 'grpc', 'grpc-web', 'http', 'http_proxy', 'http2', 'https', 'tls', 'mongo', 'redis', 'mysql'];
const kubernetesProtocols = ['kubernetes.io/h2c', 'kubernetes.io/ws', 'kubernetes.io/wss'];
/** SMTP, DNS, MySQL, MongoDB: never looked into, so their names need not say TCP. */
const knownTcpPorts = [25, 53, 3306, 27017];

/** Port names that do not say a protocol. */
export const portNames: Analyzer = {
  name: 'service.PortNameAnalyzer',
  description: 'Service ports whose name does not say their protocol',
  analyze(mesh, report) {
    for (const service of mesh.services) {
      const { object, type, ports } = service;
      if (object.cluster !== '' || isControlPlane(object) || managedByGateways.includes(object.meta.labels['gateway.istio.io/managed'] ?? '')) continue;
      for (const [i, port] of ports.entries()) {
        const isExternal = type === 'ExternalName';
        if (saysProtocol(port) && !(isExternal && port.name === 'tcp')) continue;
        const path = `spec.ports[${i}]`;
        const fix = isExternal ? undefined : named(path, port);
        report(object, isExternal ? messages.externalNamePort() : messages.portName(port.name, port.port, port.targetPort), { path: `${path}.port`, ...(fix && { fix }) });
      }
    }
  },
};

function saysProtocol({ name, appProtocol, protocol, port }: ServicePort): boolean {
  if (protocol === 'UDP') return true;
  if (appProtocol !== undefined && kubernetesProtocols.includes(appProtocol)) return true;
  const said = (appProtocol ?? name).toLowerCase();
  const [prefix = ''] = said.startsWith('grpc-web') ? ['grpc-web'] : said.split('-');
  return protocols.includes(prefix) || knownTcpPorts.includes(port);
}

/** Ports whose number leaves no doubt. */
const wellKnown: ReadonlyMap<number, string> = new Map([[80, 'http'], [8080, 'http'], [443, 'https'], [8443, 'https'], [6379, 'redis'], [50051, 'grpc']]);

/**
 * A port without a name gets one. Others keep theirs, which Ingresses and monitors may refer to, and get an appProtocol beside it, when the
 * name holds a protocol elsewhere (web-http) or the number leaves no doubt.
 */
function named(path: string, { name, appProtocol, port }: ServicePort): SourceFix | undefined {
  if (appProtocol !== undefined) return undefined;
  const meant = name.toLowerCase().split(/[^a-z0-9]+/).find((part) => protocols.includes(part)) ?? wellKnown.get(port);
  if (meant === undefined) return undefined;
  return name === '' ? { do: 'insert', path, key: 'name', value: meant } : { do: 'insert', path, key: 'appProtocol', value: meant };
}

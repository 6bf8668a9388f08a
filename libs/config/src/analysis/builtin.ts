import type { MeshConfigSpec } from '../kinds/mesh-config/types.ts';
import type { AnalyzedObject } from './object.ts';
import { analyzedObject } from './read.ts';

const namespace = 'istio-system';
const labels = { istio: 'ingressgateway' };

/** The ingress gateway an installation brings: files seldom hold it, and gateways that select it are not at fault. */
export function builtinObjects(meshConfig: MeshConfigSpec): readonly AnalyzedObject[] {
  if (meshConfig.ingressControllerMode === 'OFF') return [];
  const name = meshConfig.ingressService || 'istio-ingressgateway';
  const ports = [
    { name: 'http2', port: 80, targetPort: 8080 },
    { name: 'https', port: 443, targetPort: 8443 },
    { name: 'tcp', port: 31400, targetPort: 31400 },
    { name: 'tls', port: 15443, targetPort: 15443 },
  ];
  return [
    builtin('Pod', `${name}-builtin`, { metadata: { labels }, spec: { containers: [{ name: 'istio-proxy', image: 'istio/proxyv2' }] } }),
    builtin('Service', name, { metadata: {}, spec: { selector: labels, ports: ports.map((port) => ({ ...port, protocol: 'TCP' })) } }),
  ];
}

function builtin(kind: string, name: string, { metadata, spec }: { readonly metadata: object; readonly spec: object }): AnalyzedObject {
  return analyzedObject({ key: { group: '', kind, namespace, name }, apiVersion: 'v1', content: { apiVersion: 'v1', kind, metadata: { ...metadata, name, namespace }, spec } });
}

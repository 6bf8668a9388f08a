import { Node } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { Cluster as ClusterMessage } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener as ListenerMessage } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { RouteConfiguration } from '@meltemi/api/gen/envoy/config/route/v3/route.ts';
import { ok, type FieldError, type Result } from '@meltemi/base';
import { unknownProcess } from '@meltemi/http';
import { proxyFromNode, translate, type Proxy, type PushContext } from '@meltemi/pilot';
import { fileAccessLoggers, filterExtensions, grpcAccessLoggers, otelAccessLoggers, tracerExtensions } from '@meltemi/proxy';
import type { RouteTable } from '@meltemi/route';
import { compileCluster, compileListener, compileLoadAssignment, compileRouteConfiguration, type Cluster, type Compiled, type Extensions, type Listener, type LoadAssignment } from '@meltemi/snapshot';
import { xdsType } from '@meltemi/xds';
import type { LoadedMesh, SetAside } from './load.ts';
import type { ProxyQuestion } from './question.ts';

/** Everything one proxy would have, compiled as it compiles it. */
export interface ProxyView {
  readonly mesh: LoadedMesh;
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly listeners: readonly Listener[];
  readonly routes: ReadonlyMap<string, RouteTable>;
  readonly clusters: ReadonlyMap<string, Cluster>;
  readonly assignments: ReadonlyMap<string, LoadAssignment>;
  /** Objects that are left out, and why. */
  readonly setAside: readonly SetAside[];
  /** Resources that the proxy would refuse all the same, by name. */
  readonly refused: readonly { readonly typeUrl: string; readonly name: string; readonly errors: readonly FieldError[] }[];
}

/** Key material and files are not looked at: what they say does not decide where a request goes. */
export const resourceExtensions: Extensions = {
  ...filterExtensions(new Map([...fileAccessLoggers(unknownProcess), ...otelAccessLoggers(unknownProcess), ...grpcAccessLoggers(unknownProcess)])),
  formats: unknownProcess,
  tracers: tracerExtensions,
  autoTlsNames: true,
  readFile: () => ok(new Uint8Array()),
};

/** The proxy that a question describes; errors are about the description. */
export function proxyOfQuestion(question: ProxyQuestion): Result<Proxy> {
  return proxyFromNode(nodeOf(question));
}

/** What a proxy would get of a push context, compiled. */
export function viewIn(mesh: LoadedMesh, push: PushContext, proxy: Proxy): ProxyView {
  const refused: { typeUrl: string; name: string; errors: readonly FieldError[] }[] = [];
  const all = <T>(typeUrl: string, compile: (bytes: Uint8Array) => Result<Compiled<T>>): Map<string, T> => {
    const found = new Map<string, T>();
    for (const { name, any } of translate(push, proxy, { typeUrl }).resources.values()) {
      const result = compile(any.value);
      if (result.ok) found.set(name, result.value.value);
      else refused.push({ typeUrl, name, errors: result.error });
    }
    return found;
  };
  const listeners = [...all(xdsType.listener, (bytes) => compileListener(ListenerMessage.decode(bytes), resourceExtensions)).values()];
  const routes = all(xdsType.route, (bytes) => compileRouteConfiguration(RouteConfiguration.decode(bytes), resourceExtensions));
  const clusters = all(xdsType.cluster, (bytes) => compileCluster(ClusterMessage.decode(bytes), resourceExtensions));
  const assignments = all(xdsType.endpoint, (bytes) => compileLoadAssignment(ClusterLoadAssignment.decode(bytes)));
  return { mesh, push, proxy, listeners, routes, clusters, assignments, refused, setAside: mesh.setAside };
}

/** An address of documentation (RFC 5737) for a workload that names none: no object claims it. */
const nowhere = '192.0.2.254';

function nodeOf({ type, namespace, labels, ip, ips, serviceAccount, metadata }: ProxyQuestion): Node {
  const written = metadata['INSTANCE_IPS'];
  const addresses = [ip, ...ips, ...(typeof written === 'string' ? written.split(',').map((one) => one.trim()) : [])].filter((one) => one !== '');
  const [first = nowhere] = addresses;
  const ns = namespace || text(metadata, 'NAMESPACE') || 'default';
  const name = text(metadata, 'NAME') || labels['app'] || 'workload';
  return Object.assign(Node.decode(new Uint8Array()), {
    id: `${type}~${first}~${name}.${ns}~${ns}.svc.cluster.local`,
    metadata: {
      ISTIO_VERSION: '1.30.0', NAMESPACE: ns, LABELS: { ...labels }, SERVICE_ACCOUNT: serviceAccount || 'default', INTERCEPTION_MODE: 'REDIRECT',
      ...metadata,
      INSTANCE_IPS: (addresses.length > 0 ? addresses : [nowhere]).join(','),
    },
  });
}

function text(metadata: ProxyQuestion['metadata'], key: string): string {
  const value = metadata[key];
  return typeof value === 'string' ? value : '';
}

import { Cluster } from '@meltemi/api/gen/envoy/config/cluster/v3/cluster.ts';
import { ClusterLoadAssignment } from '@meltemi/api/gen/envoy/config/endpoint/v3/endpoint.ts';
import { Listener } from '@meltemi/api/gen/envoy/config/listener/v3/listener.ts';
import { formatFieldErrors, ok, type Result } from '@meltemi/base';
import { compileCluster, compileListener, compileLoadAssignment, type Extensions } from '@meltemi/snapshot';
import { xdsType } from '@meltemi/xds';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { translate } from '../translate/translate.ts';

/** Filters are the data plane's own business: here every one is taken. */
const any = { get: (url: string) => ({ parse: () => ok({}), parseRoute: () => ok({}), terminal: url.endsWith('.Router') }), has: () => true } as unknown as Extensions['networkFilters'];
const extensions: Extensions = { networkFilters: any, httpFilters: any, listenerFilters: any, accessLoggers: any, http2: true, autoTlsNames: true, proxyProtocol: true };

/** Fails, naming the resource, when our own proxy would refuse any cluster, listener or assignment that `proxy` is sent. */
export function assertProxyTakes(push: PushContext, proxy: Proxy): void {
  const each = (typeUrl: string, compile: (bytes: Uint8Array) => Result<unknown>) => {
    for (const [name, { any: packed }] of translate(push, proxy, { typeUrl }).resources) {
      const compiled = compile(packed.value);
      if (!compiled.ok) throw new Error(`our proxy refuses ${name}: ${formatFieldErrors(compiled.error)}`);
    }
  };
  each(xdsType.cluster, (bytes) => compileCluster(Cluster.decode(bytes), extensions));
  each(xdsType.listener, (bytes) => compileListener(Listener.decode(bytes), extensions));
  each(xdsType.endpoint, (bytes) => compileLoadAssignment(ClusterLoadAssignment.decode(bytes)));
}

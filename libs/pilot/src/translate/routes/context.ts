import type { PushContext } from '../../push-context/push-context.ts';
import type { Scope } from '../../push-context/scope.ts';
import type { Proxy } from '../../proxy/proxy.ts';

/** For whom routes are made. */
export interface RouteContext {
  readonly push: PushContext;
  readonly proxy: Proxy;
  readonly scope: Scope;
  /** Port the client dialled, or the gateway server's. */
  readonly port: number;
  /** Names a match's `gateways` may hold to count here: "mesh", or the gateway whose server it is. */
  readonly gateways: ReadonlySet<string>;
  /** The gateway server has TLS settings. */
  readonly tls: boolean;
}

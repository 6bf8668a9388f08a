import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Router } from '@meltemi/api/gen/envoy/extensions/filters/http/router/v3/router.ts';
import { effectiveProxyConfig } from '../../push-context/proxy-config.ts';
import { create, createAny, typed } from '../message.ts';
import type { HttpFeature } from './feature.ts';

/** Sends the request on. */
export const router: HttpFeature = {
  name: 'envoy.filters.http.router',
  filter({ push, proxy }) {
    const suppressEnvoyHeaders = effectiveProxyConfig(push, proxy).proxyHeaders?.envoyDebugHeaders?.disabled === true;
    return create(HttpFilter, typed(this.name, createAny('envoy.extensions.filters.http.router.v3.Router', Router, suppressEnvoyHeaders ? { suppressEnvoyHeaders } : {})));
  },
};

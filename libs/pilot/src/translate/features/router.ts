import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import { Router } from '@meltemi/api/gen/envoy/extensions/filters/http/router/v3/router.ts';
import { create, createAny, typed } from '../message.ts';
import type { HttpFeature } from './feature.ts';

/** Sends the request on. */
export const router: HttpFeature = {
  name: 'envoy.filters.http.router',
  filter({ mesh }) {
    const suppressEnvoyHeaders = mesh.defaultConfig.proxyHeaders?.envoyDebugHeaders?.disabled === true;
    return create(HttpFilter, typed('envoy.filters.http.router', createAny('envoy.extensions.filters.http.router.v3.Router', Router, { suppressEnvoyHeaders })));
  },
};

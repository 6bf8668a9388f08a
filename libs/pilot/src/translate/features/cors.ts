import type { CorsPolicy as CorsSettings } from '@meltemi/config';
import { Cors, CorsPolicy } from '@meltemi/api/gen/envoy/extensions/filters/http/cors/v3/cors.ts';
import { HttpFilter } from '@meltemi/api/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager.ts';
import type { Any } from '@meltemi/api/gen/google/protobuf/any.ts';
import { create, createAny, fractionalPercent, typed } from '../message.ts';
import { stringMatcher } from '../routes/string-matcher.ts';
import type { HttpFeature } from './feature.ts';

/** Answers preflights that routes allow. */
export const cors: HttpFeature = {
  name: 'envoy.filters.http.cors',
  filter: () => create(HttpFilter, typed('envoy.filters.http.cors', createAny('envoy.extensions.filters.http.cors.v3.Cors', Cors))),
};

/** A route's own policy. */
export function routeCors(settings: CorsSettings): Any {
  const origins = settings.allowOrigins.length > 0 ? settings.allowOrigins : settings.allowOrigin.map((exact) => ({ exact }));
  return createAny('envoy.extensions.filters.http.cors.v3.CorsPolicy', CorsPolicy, {
    allowOriginStringMatch: origins.map(stringMatcher),
    allowMethods: settings.allowMethods.join(','),
    allowHeaders: settings.allowHeaders.join(','),
    exposeHeaders: settings.exposeHeaders.join(','),
    ...(settings.maxAge === undefined ? {} : { maxAge: String(Math.floor(settings.maxAge / 1000)) }),
    ...(settings.allowCredentials === undefined ? {} : { allowCredentials: settings.allowCredentials }),
    forwardNotMatchingPreflights: settings.unmatchedPreflights !== 'IGNORE',
    filterEnabled: { defaultValue: fractionalPercent(100), runtimeKey: '' },
  });
}

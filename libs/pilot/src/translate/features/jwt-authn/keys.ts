import type { JwtRule } from '@meltemi/config';
import { DataSource } from '@meltemi/api/gen/envoy/config/core/v3/base.ts';
import { HttpUri } from '@meltemi/api/gen/envoy/config/core/v3/http_uri.ts';
import { RemoteJwks, type JwtProvider } from '@meltemi/api/gen/envoy/extensions/filters/http/jwt_authn/v3/config.ts';
import { outboundCluster } from '@meltemi/xds';
import type { PushContext } from '../../../push-context/push-context.ts';
import { keysId } from '../../../push-context/request-authentication.ts';
import { create, duration } from '../../message.ts';

type KeySource = NonNullable<JwtProvider['jwksSourceSpecifier']>;

/**
 * In force where keys cannot be had: the public half of a key whose private half was thrown away when it was made. No token fits it, so all
 * are refused and everything else goes on.
 */
export const keysOfNobody = JSON.stringify({
  keys: [
    {
      kty: 'RSA', e: 'AQAB',
      n: 'zWnk6GLF6r7rMchskH3odebk8gFB2HF4JT9CGHvVIC3dJQ1fuP-knkhCCZRRNxYXH__VZSZkYXE95YWrM5F4ZlK7lGpvMRaBRzShoeq1ctsJW-6b-URKjGbtW9bJoijMl1VwN3ARZlLlC_zkPQeY6NQWwsTBvJ64EbiFlp51XNg8KL7p9n2fICKFjc0sn5GrkgcuO8Cnqpi3kOszseMzyfvHrBD5GH8KCzlUpOcMdpTsMJijghKRBWs2SZL26cKc8Cx8LqC6HowICp2eCOIZawwfzFzqJFOqpE2SJY0SC-fNnagJkR2_Xs_yD23la1evOaEGYyK-48W_-Gm6HSUOWQ',
    },
  ],
});

const cacheMs = 5 * 60_000;
const defaultTimeoutMs = 5000;

/** Where a proxy has a rule's keys from: written here by default, or from its own cluster of the server (PILOT_JWT_ENABLE_REMOTE_JWKS). */
export function keySource(push: PushContext, rule: JwtRule): KeySource {
  const mode = push.features.jwksFetchMode;
  if (mode !== 'istiod' && rule.jwksUri !== '') {
    const cluster = serverCluster(push, rule.jwksUri);
    if (cluster.known || mode === 'envoy') return remote(rule, cluster.name);
  }
  const id = keysId(rule);
  return inline(id === undefined ? rule.jwks : (push.keySets.get(id)?.jwks ?? keysOfNobody));
}

function inline(value: string): KeySource {
  return { $case: 'localJwks', value: create(DataSource, { specifier: { $case: 'inlineString', value } }) };
}

function remote({ jwksUri, timeout }: JwtRule, cluster: string): KeySource {
  const httpUri = create(HttpUri, { uri: jwksUri, httpUpstreamType: { $case: 'cluster', value: cluster }, timeout: duration(timeout ?? defaultTimeoutMs) });
  return { $case: 'remoteJwks', value: create(RemoteJwks, { httpUri, cacheDuration: duration(cacheMs) }) };
}

function serverCluster(push: PushContext, uri: string): { readonly name: string; readonly known: boolean } {
  const { hostname, port, protocol } = new URL(uri);
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
  return { name: outboundCluster(number, hostname), known: (push.services.byHost.get(hostname) ?? []).length > 0 };
}

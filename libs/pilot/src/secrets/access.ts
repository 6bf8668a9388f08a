import type { Config, ReferenceGrantSpec, ServerTlsSettings } from '@meltemi/config';
import { gatewayApiGroup } from '@meltemi/config';
import { indexGrants } from '../gateway-api/grants.ts';
import { generatedSuffix } from '../gateway-api/names.ts';
import type { Proxy } from '../proxy/proxy.ts';
import type { PushContext } from '../push-context/push-context.ts';
import { gatewayListeners } from '../translate/gateway-servers.ts';
import { authoritiesSuffix, type SecretReference } from './resource-name.ts';

/**
 * Why a proxy of this verified namespace may not have a secret that its own configuration names; undefined when it may. Source: Istio's SecretGen, whose
 * question to Kubernetes' RBAC has its place taken by what the configuration names: nobody gets a Secret that no listener or cluster of theirs needs.
 */
export function whyForbidden(reference: SecretReference, name: string, { push, proxy, namespace }: { readonly push: PushContext; readonly proxy: Proxy; readonly namespace: string }): string | undefined {
  // roots are public
  if (reference.scheme === 'configmap' || reference.namespace === namespace) return undefined;
  if (reference.scheme === 'kubernetes') return `is of namespace ${reference.namespace}, and the proxy's certificate is of ${namespace}`;
  if (proxy.type === 'router' && (verifiedNames(push, proxy).has(name) || granted(push, reference, namespace))) return undefined;
  return `is of namespace ${reference.namespace}, and no ReferenceGrant there allows it to a Gateway of ${namespace}`;
}

/** Names that the conversion of a Gateway API object that this proxy serves has checked against ReferenceGrants. */
function verifiedNames(push: PushContext, proxy: Proxy): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { gateway, server } of gatewayListeners(push, proxy).flatMap(({ servers }) => servers)) {
    if (!server.tls || !gateway.includes(`~${generatedSuffix}`)) continue;
    for (const name of credentialsOf(server.tls)) names.add(name);
  }
  return names;
}

function credentialsOf({ credentialName, credentialNames, caCertCredentialName }: ServerTlsSettings): string[] {
  const own = [...credentialNames, credentialName].filter((name) => name !== '');
  return [...own, ...own.map((name) => `${name}${authoritiesSuffix}`), caCertCredentialName];
}

function granted(push: PushContext, { namespace: there, name }: SecretReference, namespace: string): boolean {
  const grants = indexGrants((push.inputs.get('ReferenceGrant') ?? []) as readonly Config<ReferenceGrantSpec>[]);
  const from = { group: gatewayApiGroup, kind: 'Gateway', namespace };
  const names = name.endsWith(authoritiesSuffix) ? [name, name.slice(0, -authoritiesSuffix.length)] : [name];
  return names.some((each) => grants(from, { group: '', kind: 'Secret', namespace: there, name: each }));
}

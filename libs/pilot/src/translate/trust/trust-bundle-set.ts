import { packAny, typeNameOf } from '@meltemi/api';
import { ProxyConfig } from '@meltemi/api/gen/istio/mesh/v1alpha1/proxy.ts';
import { resourceSet, xdsResource, xdsType, type ResourceSet } from '@meltemi/xds';
import type { PushContext } from '../../push-context/push-context.ts';

const made = new WeakMap<readonly string[], ResourceSet>();

/**
 * The roots of the mesh, the same for everybody who asks (PCDS); none while they are not known: an empty bundle would be believed. Roots of other trust
 * domains are not among them, since who gets this text lets each root vouch for any identity. Source: Istio's PcdsGenerator.
 */
export function trustBundleSet({ trustAnchors }: PushContext): ResourceSet {
  const known = made.get(trustAnchors);
  if (known) return known;
  const caCertificatesPem = [...trustAnchors].toSorted();
  // one for a proxy: it has no name, as in Istio
  const set = resourceSet(xdsType.proxyConfig, trustAnchors.length === 0 ? [] : [xdsResource('', packAny(typeNameOf(xdsType.proxyConfig), ProxyConfig, { caCertificatesPem }))]);
  made.set(trustAnchors, set);
  return set;
}

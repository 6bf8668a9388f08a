import { err, ok, type Result } from '@meltemi/base';

/** Ends the names under which the roots of a credential are asked for. Source: Istio's SdsCaSuffix. */
export const authoritiesSuffix = '-cacert';

/** What the name of an SDS secret points at. */
export interface SecretReference {
  /**
   * `kubernetes`: a Secret, by default of the proxy's own namespace. `kubernetes-gateway`: a Secret of the namespace named, which that namespace has to allow.
   * `configmap`: roots, which are no secret.
   */
  readonly scheme: 'kubernetes' | 'kubernetes-gateway' | 'configmap';
  readonly namespace: string;
  readonly name: string;
}

/** Reads `kubernetes://name`, `kubernetes://namespace/name`, `kubernetes-gateway://namespace/name` or `configmap://namespace/name`. Source: Istio's ParseResourceName. */
export function parseSecretName(text: string, ownNamespace: string): Result<SecretReference, string> {
  const [, scheme, path = ''] = /^(kubernetes|kubernetes-gateway|configmap):\/\/(.+)$/.exec(text) ?? [];
  if (scheme !== 'kubernetes' && scheme !== 'kubernetes-gateway' && scheme !== 'configmap') return err('is no name of a Secret or ConfigMap that pilot serves');
  const [first = '', second, ...more] = path.split('/');
  if (first === '' || second === '' || more.length > 0) return err(`must be ${scheme}://namespace/name`);
  if (second !== undefined) return ok({ scheme, namespace: first, name: second });
  return scheme === 'kubernetes-gateway' ? err('must be kubernetes-gateway://namespace/name') : ok({ scheme, namespace: ownNamespace, name: first });
}

import { kubernetesFlags, type KubernetesFlagValues } from '@meltemi/citadel-edge';
import { StartError, type OptionSpec } from '@meltemi/observe-edge';

/** Who may ask for certificates, beside holders of join tokens and certificates of the mesh. */
export const callerOptions = [
  { name: 'kubernetes-callers', type: 'bool', description: "take tokens of Kubernetes service accounts: namespace and name become the identity; asks the cluster's API server about each (TokenReview)" },
  ...kubernetesFlags,
  { name: 'token-audiences', type: 'list', placeholder: 'audiences', default: 'istio-ca', description: 'audiences that tokens of service accounts may be for' },
  { name: 'oidc-issuers', type: 'string', placeholder: 'file', description: 'take tokens of OpenID issuers: JSON that names issuers, audiences, keys, and which claims give which identities' },
  { name: 'registration-authorities', type: 'list', placeholder: 'SPIFFE ids', description: 'identities that may ask for any identity of the trust domain: other citadels that sign through this one. Whoever has one of them is an authority' },
] as const satisfies readonly OptionSpec[];

/** What no single flag can say wrong: throws StartError. */
export function checkCallerOptions(values: KubernetesFlagValues & { readonly 'kubernetes-callers': boolean; readonly keystore: string | undefined }): void {
  const given = kubernetesFlags.some(({ name }) => values[name] !== undefined);
  const wanted = values['kubernetes-callers'] || /^kubernetes(:|$)/.test(values.keystore ?? '');
  if (given && !wanted) throw new StartError('--kubernetes-api-server, --kubernetes-ca-file and --kubernetes-token-file need --kubernetes-callers or --keystore kubernetes', { exitCode: 2 });
}

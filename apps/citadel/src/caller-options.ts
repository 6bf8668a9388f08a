import { StartError, type OptionSpec } from '@meltemi/observe-edge';

/** Who may ask for certificates, beside holders of join tokens and certificates of the mesh. */
export const callerOptions = [
  { name: 'kubernetes-callers', type: 'bool', description: "take tokens of Kubernetes service accounts: namespace and name become the identity; asks the cluster's API server about each (TokenReview)" },
  { name: 'kubernetes-api-server', type: 'string', placeholder: 'https://host:port', description: 'API server to ask; default: that of the cluster citadel runs in' },
  { name: 'kubernetes-ca-file', type: 'string', placeholder: 'file', description: "authority of the API server's certificate; default: the mounted one of citadel's service account" },
  { name: 'kubernetes-token-file', type: 'string', placeholder: 'file', description: "token citadel calls the API server with, read again for each call; default: that of citadel's service account" },
  { name: 'token-audiences', type: 'list', placeholder: 'audiences', default: 'istio-ca', description: 'audiences that tokens of service accounts may be for' },
  { name: 'oidc-issuers', type: 'string', placeholder: 'file', description: 'take tokens of OpenID issuers: JSON that names issuers, audiences, keys, and which claims give which identities' },
  { name: 'registration-authorities', type: 'list', placeholder: 'SPIFFE ids', description: 'identities that may ask for any identity of the trust domain: other citadels that sign through this one. Whoever has one of them is an authority' },
] as const satisfies readonly OptionSpec[];

/** What no single flag can say wrong: throws StartError. */
export function checkCallerOptions(values: { readonly 'kubernetes-callers': boolean; readonly 'kubernetes-api-server': string | undefined; readonly 'kubernetes-ca-file': string | undefined; readonly 'kubernetes-token-file': string | undefined }): void {
  const { 'kubernetes-callers': wanted, 'kubernetes-api-server': server, 'kubernetes-ca-file': caFile, 'kubernetes-token-file': tokenFile } = values;
  if (!wanted && (server ?? caFile ?? tokenFile) !== undefined) throw new StartError('--kubernetes-api-server, --kubernetes-ca-file and --kubernetes-token-file need --kubernetes-callers', { exitCode: 2 });
  if (server !== undefined && !(URL.canParse(server) && new URL(server).protocol === 'https:')) throw new StartError(`--kubernetes-api-server ${server}: must be an https URL`, { exitCode: 2 });
  if (server !== undefined && (caFile === undefined || tokenFile === undefined)) throw new StartError('--kubernetes-api-server needs --kubernetes-ca-file and --kubernetes-token-file', { exitCode: 2 });
}

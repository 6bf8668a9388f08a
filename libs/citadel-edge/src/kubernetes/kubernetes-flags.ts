import { err, ok, type Result } from '@meltemi/base';
import { inClusterApi, type KubernetesApi } from './api.ts';

/** Which API server a program asks, and as whom: the same flags in all programs that do. */
export const kubernetesFlags = [
  { name: 'kubernetes-api-server', type: 'string', placeholder: 'https://host:port', description: 'API server to ask; default: that of the cluster this runs in' },
  { name: 'kubernetes-ca-file', type: 'string', placeholder: 'file', description: "authority of the API server's certificate; default: the mounted one of the service account" },
  { name: 'kubernetes-token-file', type: 'string', placeholder: 'file', description: 'token to call the API server with, read again for each call; default: that of the service account' },
] as const;

/** What was given for them. */
export type KubernetesFlagValues = { readonly [Name in (typeof kubernetesFlags)[number]['name']]?: string | undefined };

/** The API server that the flags name, or that of the cluster; the error names the flag that is wrong. */
export function kubernetesApiOf(values: KubernetesFlagValues, env: NodeJS.ProcessEnv): Result<KubernetesApi, string> {
  const { 'kubernetes-api-server': server, 'kubernetes-ca-file': ca, 'kubernetes-token-file': token } = values;
  if (server !== undefined && !(URL.canParse(server) && new URL(server).protocol === 'https:')) return err(`--kubernetes-api-server ${server}: must be an https URL`);
  if (server !== undefined && (ca === undefined || token === undefined)) return err('--kubernetes-api-server needs --kubernetes-ca-file and --kubernetes-token-file');
  const given = inClusterApi(env);
  const [url, caFile, tokenFile] = [server ?? given?.url, ca ?? given?.caFile, token ?? given?.tokenFile];
  if (url === undefined || caFile === undefined || tokenFile === undefined) return err('this is no Pod (KUBERNETES_SERVICE_HOST is not set); give --kubernetes-api-server, --kubernetes-ca-file and --kubernetes-token-file');
  return ok({ url, caFile, tokenFile });
}

import { StartError, type OptionSpec } from '@meltemi/observe-edge';

/** An authority elsewhere that signs in citadel's place. */
export const upstreamOptions = [
  { name: 'upstream-ca-address', type: 'string', placeholder: 'host:port', description: "sign nothing here: send every request on to another citadel (which names this one's identity in --registration-authorities), or to an authority that speaks Istio's certificate service" },
  { name: 'upstream-ca-root', type: 'string', placeholder: 'file', description: 'roots that it and every certificate must lead to, PEM; the roots of the mesh' },
  { name: 'upstream-ca-server-name', type: 'string', placeholder: 'DNS name', description: "DNS name its certificate must have; default: it must be a citadel's" },
  { name: 'upstream-ca-token-file', type: 'string', placeholder: 'file', description: 'bearer token to call it with, read again for each request' },
  { name: 'upstream-ca-cert', type: 'string', placeholder: 'file', description: 'client certificate to call it with, PEM with its chain, read again for each connection' },
  { name: 'upstream-ca-key', type: 'string', placeholder: 'file', description: 'its key' },
] as const satisfies readonly OptionSpec[];

type Values = { readonly [O in (typeof upstreamOptions)[number] as O['name']]: string | undefined };

/** What no single flag can say wrong: throws StartError. */
export function checkUpstreamOptions(values: Values & { readonly cacerts: string | undefined }): void {
  const { 'upstream-ca-address': address, 'upstream-ca-root': root, 'upstream-ca-token-file': token, 'upstream-ca-cert': cert, 'upstream-ca-key': key } = values;
  const problem = (text: string): never => {
    throw new StartError(text, { exitCode: 2 });
  };
  if (address === undefined) {
    const given = upstreamOptions.find(({ name }) => values[name] !== undefined);
    if (given) problem(`--${given.name} needs --upstream-ca-address`);
    return;
  }
  if (values.cacerts !== undefined) problem('--upstream-ca-address and --cacerts: either another authority signs, or the plugged-in one');
  if (root === undefined) problem('--upstream-ca-address needs --upstream-ca-root: the roots that certificates must lead to');
  if ((cert === undefined) !== (key === undefined)) problem('--upstream-ca-cert and --upstream-ca-key go together');
  if ((token === undefined) === (cert === undefined)) problem('--upstream-ca-address needs either --upstream-ca-token-file or --upstream-ca-cert and --upstream-ca-key');
}

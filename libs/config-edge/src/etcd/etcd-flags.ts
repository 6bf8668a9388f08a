import { readFileSync } from 'node:fs';
import { err, type Result } from '@meltemi/base';
import { checkEtcdOptions, type EtcdOptions, type EtcdTls, type EtcdUrl } from './etcd-options.ts';

/** How a program says who it is to etcd, and whom it believes: the same flags in all programs that keep something there. */
export const etcdFlags = [
  { name: 'etcd-cacert', type: 'string', placeholder: 'file', description: 'PEM roots that sign the etcd members' },
  { name: 'etcd-cert', type: 'string', placeholder: 'file', description: 'PEM client certificate for etcd' },
  { name: 'etcd-key', type: 'string', placeholder: 'file', description: 'PEM key of the client certificate' },
  { name: 'etcd-server-name', type: 'string', placeholder: 'name', description: 'DNS name in the etcd certificates, when members are dialled by address' },
  { name: 'etcd-username', type: 'string', placeholder: 'name', description: 'etcd user, where etcd asks for a password' },
  { name: 'etcd-password-file', type: 'string', placeholder: 'file', description: "file with that user's password in its first line" },
  { name: 'etcd-plaintext', type: 'bool', description: 'speak to etcd on other machines without TLS: whoever is on the way reads and writes what is in it' },
] as const;

/** What was given for them. */
export type EtcdFlagValues = { readonly [Name in Exclude<(typeof etcdFlags)[number]['name'], 'etcd-plaintext'>]?: string | undefined } & { readonly 'etcd-plaintext'?: boolean | undefined };

/** Url and flags as options; the error names the flag that is wrong. Reads the files once. */
export function etcdOptionsOf(url: EtcdUrl, values: EtcdFlagValues): Result<EtcdOptions, string> {
  const problems: string[] = [];
  const read = (flag: Exclude<keyof EtcdFlagValues, 'etcd-plaintext'>): Buffer | undefined => {
    const file = values[flag];
    if (file === undefined) return undefined;
    try {
      return readFileSync(file);
    } catch (cause) {
      problems.push(`--${flag} ${file}: ${cause instanceof Error ? cause.message : String(cause)}`);
      return undefined;
    }
  };
  const [ca, cert, key, passwordFile, serverName, username] = [read('etcd-cacert'), read('etcd-cert'), read('etcd-key'), read('etcd-password-file'), values['etcd-server-name'], values['etcd-username']];
  const [password = ''] = passwordFile?.toString().split(/\r?\n/) ?? [];
  const [problem] = problems;
  if (problem !== undefined) return err(problem);
  if ((username === undefined) !== (password === '')) return err('--etcd-username and --etcd-password-file (which must not be empty) go together');
  if (url.tls && !ca) return err('etcds://: give --etcd-cacert FILE, the roots that sign the etcd members');
  if (!url.tls && (ca ?? cert ?? key)) return err('--etcd-cacert, --etcd-cert and --etcd-key are for TLS: write etcds:// instead of etcd://');
  const remote = url.endpoints.find((endpoint) => !/^(127\.\d+\.\d+\.\d+|localhost|\[::1\]):\d+$/.test(endpoint));
  if (!url.tls && remote !== undefined && values['etcd-plaintext'] !== true) return err(`etcd://: ${remote} is another machine, and whoever is on the way would read and write what is kept there: write etcds:// and give --etcd-cacert, or --etcd-plaintext where the network is trusted`);
  const tls: EtcdTls | undefined = url.tls && ca ? { ca, ...(cert && { cert }), ...(key && { key }), ...(serverName !== undefined && { serverName }) } : undefined;
  return checkEtcdOptions({ endpoints: url.endpoints, root: url.root, ...(tls && { tls }), ...(username !== undefined && { auth: { username, password } }) });
}

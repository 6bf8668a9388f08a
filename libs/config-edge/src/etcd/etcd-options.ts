import { isIP } from 'node:net';
import { err, ok, type Result } from '@meltemi/base';
import type { StoreLimits } from '@meltemi/config';

export interface EtcdOptions {
  /** host:port of every member. */
  readonly endpoints: readonly string[];
  /** Default "/meltemi"; several meshes on one etcd take one each. */
  readonly root?: string;
  readonly tls?: EtcdTls;
  readonly auth?: { readonly username: string; readonly password: string };
  /** Until an operation gives up, retries included; default 15 s, since the loss of a leader stops writes for up to 7. */
  readonly timeoutMs?: number;
  /** Silence of a watch until it is taken for dead; default 15 s. A third of it is the interval of asking. */
  readonly silenceMs?: number;
  readonly limits?: Partial<StoreLimits>;
}

/** PEM. `serverName` is the DNS name in the members' certificates: needed when they are dialled by address, since TLS here cannot check addresses. */
export interface EtcdTls {
  readonly ca: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly serverName?: string;
}

/** What an address says: where etcd is, what is ours there, and whether to speak TLS. */
export interface EtcdUrl {
  readonly endpoints: readonly string[];
  readonly root: string;
  readonly tls: boolean;
}

/** "etcd://10.0.0.1:2379,10.0.0.2:2379/mesh-a" → endpoints and root. "etcds://" asks for TLS. The path is the root; `defaultRoot` without one. */
export function parseEtcdUrl(text: string, defaultRoot = '/meltemi'): Result<EtcdUrl, string> {
  const [, scheme, hosts = '', path = ''] = /^(etcds?):\/\/([^/]+)(\/.*)?$/.exec(text) ?? [];
  if (scheme === undefined) return err(`"${text}" is no etcd address: write etcd://host:port[,host:port…][/root], or etcds:// for TLS`);
  const endpoints = hosts.split(',').map((host) => (/:\d+$/.test(host) ? host : `${host}:2379`));
  const wrong = endpoints.find((endpoint) => !isEndpoint(endpoint));
  if (wrong !== undefined) return err(`"${wrong}" in "${text}" is no host:port`);
  const root = path.replace(/\/+$/, '');
  return ok({ endpoints, root: root === '' ? defaultRoot : root, tls: scheme === 'etcds' });
}

/** What makes these options unusable, before anything is dialled. */
export function checkEtcdOptions(options: EtcdOptions): Result<EtcdOptions, string> {
  if (options.endpoints.length === 0) return err('etcd: no endpoint given');
  const wrong = options.endpoints.find((endpoint) => !isEndpoint(endpoint));
  if (wrong !== undefined) return err(`etcd: "${wrong}" is no host:port`);
  if (options.root !== undefined && !/^(\/[A-Za-z0-9._-]+)+$/.test(options.root)) return err(`etcd: root "${options.root}" must look like /meltemi`);
  const { tls } = options;
  if (tls === undefined) return ok(options);
  if ((tls.cert === undefined) !== (tls.key === undefined)) return err('etcd: a client certificate needs its key, and a key its certificate');
  const address = options.endpoints.find((endpoint) => isIP(endpoint.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')) !== 0);
  if (tls.serverName === undefined && address !== undefined) {
    return err(`etcd: ${address} is an address, TLS checks names: give the DNS name in its certificate as the TLS server name, or dial by name`);
  }
  return ok(options);
}

function isEndpoint(endpoint: string): boolean {
  const [, port] = /^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9._-]+):(\d{1,5})$/.exec(endpoint) ?? [];
  return port !== undefined && Number(port) > 0 && Number(port) < 65536;
}

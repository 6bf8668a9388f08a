import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { formatFieldErrors, systemClock, type Lifecycle } from '@meltemi/base';
import { isSafeUrl, OidcCallers, parseOidcIssuers, ServiceAccountCallers, type OidcIssuer, type TokenCallers } from '@meltemi/citadel';
import { kubernetesApiOf, KubernetesTokenReviewer } from '@meltemi/citadel-edge';
import type { StatsRegistry } from '@meltemi/observe';
import { StartError, type Logger } from '@meltemi/observe-edge';
import { httpKeyServer, JwksKeeper, type KeyServer } from '@meltemi/pilot-edge/jwks';
import type { CitadelOptions } from './options.ts';

/** Keys of issuers are fetched again so often: a key they start to use is known here before most notice, and no token can make us fetch. */
const keysRefreshMs = 60_000;
const keysTimeoutMs = 5000;
export const maxIssuersFileBytes = 1_048_576;

interface Parts {
  readonly log: Logger;
  readonly stats: StatsRegistry;
  readonly lifecycle: Lifecycle;
}

/** A file of settings that a part was made of, and how it takes another text. */
export interface ReadFile {
  readonly path: string;
  readonly text: string;
  /** Rejects with the reason, having changed nothing. */
  readonly take: (text: string) => Promise<void>;
}

export interface OpenedCallers {
  readonly callers: readonly TokenCallers[];
  /** Of --oidc-issuers, when it is given. */
  readonly issuersFile?: ReadFile;
}

/** The kinds of tokens that the flags allow, in the order they are asked: an issuer of the file before Kubernetes. Throws StartError. */
export async function tokenCallers(values: CitadelOptions, parts: Parts): Promise<OpenedCallers> {
  const { 'oidc-issuers': file, 'kubernetes-callers': kubernetes } = values;
  const oidc = file === undefined ? undefined : await oidcCallers(resolve(file), values['trust-domain'], parts);
  return { callers: [...(oidc ? [oidc.callers] : []), ...(kubernetes ? [serviceAccountCallers(values, parts)] : [])], ...(oidc && { issuersFile: oidc.file }) };
}

function serviceAccountCallers(values: CitadelOptions, { lifecycle }: Parts): TokenCallers {
  const api = kubernetesApiOf(values, process.env);
  if (!api.ok) throw new StartError(`--kubernetes-callers: ${api.error}`, { exitCode: 2 });
  const reviewer = new KubernetesTokenReviewer(api.value);
  lifecycle.add('token reviewer', () => reviewer.stop());
  return new ServiceAccountCallers({ trustDomain: values['trust-domain'], reviewer, audiences: values['token-audiences'] });
}

async function oidcCallers(path: string, trustDomain: string, { log, stats, lifecycle }: Parts): Promise<{ readonly callers: TokenCallers; readonly file: ReadFile }> {
  const text = await readIssuers(path);
  let issuers = issuersOf(text, path);
  const server = safely(httpKeyServer());
  const counter = (name: string, help: string): { inc(): void } => stats.counter(`citadel_oidc_${name}`, help).labels();
  const keeper = new JwksKeeper({
    server, clock: systemClock, log, refreshMs: keysRefreshMs, onChange: () => undefined,
    stats: { fetched: counter('keys_fetched_total', 'Key sets of OpenID issuers fetched.'), failed: counter('keys_fetch_failures_total', 'Fetches of key sets of OpenID issuers that failed.') },
  });
  lifecycle.add('keys of issuers', async () => {
    keeper.stop();
    await server.close();
  });
  const want = (): void => keeper.want(issuers.filter(({ keys }) => keys === undefined).map(({ issuer, jwksUri }) => ({ id: `${issuer} ${jwksUri}`, issuer, jwksUri, timeoutMs: keysTimeoutMs })));
  want();
  const take = async (changed: string): Promise<void> => {
    issuers = issuersOf(changed, path);
    want();
  };
  return { callers: new OidcCallers({ trustDomain, issuers: () => issuers, fetchedKeys: ({ issuer, jwksUri }: OidcIssuer) => keeper.keySets.get(`${issuer} ${jwksUri}`)?.jwks }), file: { path, text, take } };
}

/** Throws StartError for a text that cannot be used. */
function issuersOf(text: string, path: string): readonly OidcIssuer[] {
  const issuers = parseOidcIssuers(text);
  if (!issuers.ok) throw new StartError(`--oidc-issuers ${path}: ${formatFieldErrors(issuers.error)}`);
  return issuers.value;
}

async function readIssuers(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new StartError(`--oidc-issuers ${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  });
  if (text.length > maxIssuersFileBytes) throw new StartError(`--oidc-issuers ${path}: has more than ${maxIssuersFileBytes} characters`);
  return text;
}

/** Also what an issuer's own configuration names must come over TLS. */
function safely(server: KeyServer): KeyServer {
  return {
    get: async (url, limits) => {
      if (!isSafeUrl(url)) throw new Error(`${url} is not https`);
      return server.get(url, limits);
    },
    close: () => server.close(),
  };
}

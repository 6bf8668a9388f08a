import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { err, ok, type Result } from '@meltemi/base';
import type { TokenReview, TokenReviewer } from '@meltemi/citadel';
import { readBounded } from './read-bounded.ts';

export interface KubernetesApi {
  /** https URL of the API server. */
  readonly url: string;
  /** File of the authority its certificate leads to, PEM. */
  readonly caFile: string;
  /** File of the token we call with, read again for each call: kubelet replaces it. It needs `create` on `tokenreviews.authentication.k8s.io`. */
  readonly tokenFile: string;
  /** For one review. Default 5 s. */
  readonly timeoutMs?: number;
}

const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount';
const maxFileBytes = 65_536;
const maxAnswerBytes = 65_536;

/** The API server of the cluster this process runs in; undefined outside of one. */
export function inClusterApi(env: NodeJS.ProcessEnv): KubernetesApi | undefined {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '') return undefined;
  return { url: `https://${host.includes(':') ? `[${host}]` : host}:${port}`, caFile: `${serviceAccountDir}/ca.crt`, tokenFile: `${serviceAccountDir}/token` };
}

/** Asks an API server about tokens, by TokenReview of authentication.k8s.io/v1. One call each, no redirects, nothing remembered. */
export class KubernetesTokenReviewer implements TokenReviewer {
  readonly #api: KubernetesApi;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 10, timeout: 30_000 });

  constructor(api: KubernetesApi) {
    this.#api = api;
  }

  async review(token: string, audiences: readonly string[]): Promise<Result<TokenReview, string>> {
    try {
      const body = JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences } });
      return ok(readReview(await this.#post('/apis/authentication.k8s.io/v1/tokenreviews', body)));
    } catch (cause) {
      return err(`TokenReview at ${this.#api.url}: ${cause instanceof Error ? cause.message : String(cause)}`);
    }
  }

  stop(): void {
    this.#agent.destroy();
  }

  async #post(path: string, body: string): Promise<string> {
    const [ca, ownToken] = await Promise.all([readFile(this.#api.caFile, 'utf8'), readBounded(this.#api.tokenFile, maxFileBytes)]);
    if (ownToken === undefined) throw new Error(`${this.#api.tokenFile} is missing`);
    const headers = { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${ownToken.trim()}` };
    const signal = AbortSignal.timeout(this.#api.timeoutMs ?? 5000);
    return new Promise((resolve, reject) => {
      const call = request(new URL(path, this.#api.url), { method: 'POST', agent: this.#agent, ca, headers, signal }, (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxAnswerBytes) call.destroy(new Error(`the answer has more than ${maxAnswerBytes} bytes`));
          else chunks.push(chunk);
        });
        answer.once('error', reject);
        answer.once('end', () => {
          if (answer.statusCode === 200 || answer.statusCode === 201) resolve(Buffer.concat(chunks).toString('utf8'));
          else reject(new Error(`the API server answers ${answer.statusCode}${answer.statusCode === 403 ? ': our service account needs create on tokenreviews.authentication.k8s.io (the cluster role system:auth-delegator has it)' : ''}`));
        });
      });
      call.once('error', (cause) => reject(signal.aborted ? new Error(`no answer within ${this.#api.timeoutMs ?? 5000} ms`) : cause));
      call.end(body);
    });
  }
}

function readReview(text: string): TokenReview {
  const { kind, status } = (JSON.parse(text) ?? {}) as { readonly kind?: unknown; readonly status?: Record<string, unknown> };
  if (kind !== 'TokenReview' || typeof status !== 'object' || status === null) throw new Error('the answer is no TokenReview');
  const user = (status['user'] ?? {}) as Record<string, unknown>;
  const authenticated = status['authenticated'] === true;
  return {
    authenticated,
    username: authenticated && typeof user['username'] === 'string' ? user['username'] : '',
    groups: stringsOf(user['groups']),
    audiences: stringsOf(status['audiences']),
    error: typeof status['error'] === 'string' ? status['error'].slice(0, 500) : '',
  };
}

function stringsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((each): each is string => typeof each === 'string') : [];
}

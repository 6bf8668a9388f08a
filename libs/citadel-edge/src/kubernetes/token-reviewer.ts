import { err, ok, type Result } from '@meltemi/base';
import type { TokenReview, TokenReviewer } from '@meltemi/citadel';
import { KubernetesCalls, type KubernetesApi } from './api.ts';

const maxAnswerBytes = 65_536;

/** Asks an API server about tokens, by TokenReview of authentication.k8s.io/v1. The service account needs `create` on `tokenreviews.authentication.k8s.io`. */
export class KubernetesTokenReviewer implements TokenReviewer {
  readonly #api: KubernetesApi;
  readonly #calls: KubernetesCalls;

  constructor(api: KubernetesApi) {
    this.#api = api;
    this.#calls = new KubernetesCalls(api);
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
    this.#calls.stop();
  }

  async #post(path: string, body: string): Promise<string> {
    const { status, text } = await this.#calls.call({ method: 'POST', path, body, maxBytes: maxAnswerBytes });
    if (status === 200 || status === 201) return text;
    throw new Error(`the API server answers ${status}${status === 403 ? ': our service account needs create on tokenreviews.authentication.k8s.io (the cluster role system:auth-delegator has it)' : ''}`);
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

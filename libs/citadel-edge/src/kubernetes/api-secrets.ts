import { KubernetesCalls, TooLongAnswer, type KubernetesAnswer, type KubernetesApi, type KubernetesCall } from './api.ts';
import type { Secrets, StoredSecret } from './secrets.ts';

export interface ApiSecretsOptions {
  readonly api: KubernetesApi;
  readonly namespace: string;
  /** Value of the label `meltemi.io/keystore` on every Secret of this keystore. */
  readonly keystore: string;
}

const type = 'meltemi.io/keystore';
const field = 'value';
const maxSecretBytes = 2 * 1024 * 1024;
const maxPageItems = 100;
const maxPageBytes = 8 * 1024 * 1024;

type Fields = { readonly [key: string]: unknown };

/** Secrets of an API server: get, list, create, update and delete on `secrets` in one namespace is all the service account needs. */
export class ApiSecrets implements Secrets {
  readonly #calls: KubernetesCalls;
  readonly #options: ApiSecretsOptions;
  readonly #path: string;

  constructor(options: ApiSecretsOptions) {
    this.#options = options;
    this.#calls = new KubernetesCalls(options.api);
    this.#path = `/api/v1/namespaces/${encodeURIComponent(options.namespace)}/secrets`;
  }

  async get(name: string): Promise<StoredSecret | undefined> {
    const answer = await this.#call({ method: 'GET', path: this.#of(name), maxBytes: maxSecretBytes }, [200, 404]);
    return answer.status === 404 ? undefined : readSecret(JSON.parse(answer.text));
  }

  async create(name: string, value: string): Promise<boolean> {
    return (await this.#call({ method: 'POST', path: this.#path, body: this.#body(name, value), maxBytes: maxSecretBytes }, [201, 409])).status === 201;
  }

  async replace(name: string, value: string, resourceVersion: string): Promise<boolean> {
    return (await this.#call({ method: 'PUT', path: this.#of(name), body: this.#body(name, value, resourceVersion), maxBytes: maxSecretBytes }, [200, 404, 409])).status === 200;
  }

  async delete(name: string): Promise<void> {
    await this.#call({ method: 'DELETE', path: this.#of(name), maxBytes: maxSecretBytes }, [200, 202, 404]);
  }

  async list(): Promise<readonly StoredSecret[]> {
    const secrets: StoredSecret[] = [];
    let limit = maxPageItems;
    for (let next: string | undefined = ''; next !== undefined; ) {
      const page = await this.#page(limit, next);
      if (page === 'too large') {
        limit = Math.floor(limit / 2);
        continue;
      }
      secrets.push(...page.secrets);
      next = page.next;
      // As many of the size of these as fill half a page: what comes next may be larger, or much smaller.
      limit = Math.max(1, Math.min(maxPageItems, Math.floor((page.secrets.length * maxPageBytes) / 2 / page.bytes)));
    }
    return secrets;
  }

  /** From what the page before said comes next, "" for the first; how many may differ from page to page. */
  async #page(limit: number, next: string): Promise<{ readonly secrets: readonly StoredSecret[]; readonly bytes: number; readonly next: string | undefined } | 'too large'> {
    const query = new URLSearchParams({ labelSelector: `${type}=${this.#options.keystore}`, limit: String(limit), ...(next !== '' && { continue: next }) });
    try {
      const { text } = await this.#call({ method: 'GET', path: `${this.#path}?${query.toString()}`, maxBytes: maxPageBytes }, [200]);
      const { items, metadata } = JSON.parse(text) as { readonly items?: unknown; readonly metadata?: { readonly continue?: string } };
      if (!Array.isArray(items)) throw new Error('the API server answers a list without items');
      return { secrets: items.map(readSecret), bytes: text.length, next: metadata?.continue || undefined };
    } catch (cause) {
      if (limit > 1 && cause instanceof Error && cause.cause instanceof TooLongAnswer) return 'too large';
      throw cause;
    }
  }

  stop(): void {
    this.#calls.stop();
  }

  async #call(call: KubernetesCall, expected: readonly number[]): Promise<KubernetesAnswer> {
    const answer = await this.#calls.call(call).catch((cause: unknown) => {
      throw new Error(`Secrets at ${this.#options.api.url}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    });
    if (expected.includes(answer.status)) return answer;
    throw new Error(`Secrets at ${this.#options.api.url}: ${call.method} answers ${answer.status}${this.#hint(answer.status)}`);
  }

  #hint(status: number): string {
    const { namespace, api } = this.#options;
    if (status === 403) return `: our service account needs get, list, create, update and delete on secrets in namespace ${namespace}`;
    if (status === 401) return `: it does not know the token in ${api.tokenFile}: it must be of this cluster, and not have expired`;
    return status === 404 ? `: is there a namespace ${namespace}?` : '';
  }

  #of(name: string): string {
    return `${this.#path}/${encodeURIComponent(name)}`;
  }

  /** A resourceVersion makes the server compare; without one a PUT would overwrite. */
  #body(name: string, value: string, resourceVersion?: string): string {
    const metadata = { name, namespace: this.#options.namespace, labels: { [type]: this.#options.keystore }, ...(resourceVersion !== undefined && { resourceVersion }) };
    return JSON.stringify({ apiVersion: 'v1', kind: 'Secret', type, metadata, data: { [field]: Buffer.from(value).toString('base64') } });
  }
}

function readSecret(value: unknown): StoredSecret {
  const { metadata = {}, data = {} } = (value ?? {}) as { readonly metadata?: Fields; readonly data?: Fields };
  const { name, resourceVersion } = metadata;
  const text = data[field];
  if (typeof name !== 'string' || typeof resourceVersion !== 'string' || typeof text !== 'string') throw new Error(`Secret ${typeof name === 'string' ? name : ''} was not made by citadel: it has no "${field}"`);
  return { name, resourceVersion, value: Buffer.from(text, 'base64').toString() };
}

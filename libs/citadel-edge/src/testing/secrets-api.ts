interface Secret {
  metadata: { name: string; namespace: string; labels?: Record<string, string>; resourceVersion?: string };
  data?: Record<string, string>;
}

interface Answer {
  readonly status: number;
  readonly body: string;
}

const status = (code: number): Answer => ({ status: code, body: JSON.stringify({ kind: 'Status', code }) });

/** What an API server does with Secrets: names once, resourceVersions compared on PUT, pages by `limit` and `continue`. */
export class FakeSecretsApi {
  readonly stored = new Map<string, Secret>();
  #version = 100;

  /** `GET /api/v1/namespaces/<namespace>/secrets/<name>?<query>` and the like. */
  handle(target: string, body: string): Answer {
    const [, method = '', namespace = '', name, query = ''] = /^(\w+) \/api\/v1\/namespaces\/([^/]+)\/secrets(?:\/([^?]+))?(?:\?(.*))?$/.exec(target) ?? [];
    if (name === undefined) return method === 'POST' ? this.#create(namespace, JSON.parse(body) as Secret) : this.#list(namespace, new URLSearchParams(query));
    const key = `${namespace}/${name}`;
    const present = this.stored.get(key);
    if (!present) return status(404);
    if (method === 'GET') return { status: 200, body: JSON.stringify(present) };
    if (method === 'DELETE') {
      this.stored.delete(key);
      return status(200);
    }
    const next = JSON.parse(body) as Secret;
    const { resourceVersion } = next.metadata;
    if (resourceVersion !== undefined && resourceVersion !== present.metadata.resourceVersion) return status(409);
    return this.#write(key, next, 200);
  }

  #create(namespace: string, secret: Secret): Answer {
    const key = `${namespace}/${secret.metadata.name}`;
    // As the API server checks it: a DNS subdomain.
    if (!/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(secret.metadata.name)) return status(422);
    return this.stored.has(key) ? status(409) : this.#write(key, secret, 201);
  }

  #list(namespace: string, query: URLSearchParams): Answer {
    const [label = '', value] = query.get('labelSelector')?.split('=') ?? [];
    const all = [...this.stored.values()].filter(({ metadata }) => metadata.namespace === namespace && metadata.labels?.[label] === value);
    const from = Number(query.get('continue') ?? '0');
    const to = from + Number(query.get('limit'));
    return { status: 200, body: JSON.stringify({ kind: 'SecretList', metadata: to < all.length ? { continue: String(to) } : {}, items: all.slice(from, to) }) };
  }

  #write(key: string, secret: Secret, code: number): Answer {
    const written = { ...secret, metadata: { ...secret.metadata, resourceVersion: String((this.#version += 1)) } };
    this.stored.set(key, written);
    return { status: code, body: JSON.stringify(written) };
  }
}

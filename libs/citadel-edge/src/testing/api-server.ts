import { createServer, type Server } from 'node:https';
import { readFileSync } from 'node:fs';
import type { FakeToken } from '@meltemi/citadel';
import { FakeSecretsApi } from './secrets-api.ts';

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A local HTTPS server that speaks the TokenReview API of Kubernetes and its Secrets, as far as citadel needs them. */
export class ApiServerFixture {
  readonly #server: Server;
  readonly #accounts = new Map<string, FakeToken>();
  /** Replaces every answer. */
  answer: Answer | undefined;
  /** Takes requests and never answers. */
  silent = false;
  /** What citadel itself must call with. */
  callerToken = 'citadels-own-token';
  readonly secrets = new FakeSecretsApi();

  constructor(files: { readonly cert: string; readonly key: string }) {
    this.#server = createServer({ cert: readFileSync(files.cert), key: readFileSync(files.key) }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (this.silent) return;
        const { status, body, headers = {} } = this.answer ?? this.#handle(`${request.method} ${request.url}`, request.headers.authorization, Buffer.concat(chunks).toString());
        response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
      });
    });
  }

  add(token: string, account: FakeToken): void {
    this.#accounts.set(token, account);
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    return `https://localhost:${typeof address === 'object' ? address?.port : ''}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #handle(target: string, authorization: string | undefined, body: string): Answer {
    if (target.includes('/api/v1/namespaces/')) return authorization === `Bearer ${this.callerToken}` ? this.secrets.handle(target, body) : { status: 401, body: '{"kind":"Status","code":401}' };
    if (target !== 'POST /apis/authentication.k8s.io/v1/tokenreviews') return { status: 404, body: '{}' };
    if (authorization !== `Bearer ${this.callerToken}`) return { status: 401, body: '{"kind":"Status","code":401}' };
    const { spec } = JSON.parse(body) as { spec: { token: string; audiences: string[] } };
    const account = this.#accounts.get(spec.token);
    const audiences = spec.audiences.filter((audience) => audience === (account?.audience ?? 'istio-ca'));
    const status = account && audiences.length > 0
      ? { authenticated: true, audiences, user: { username: `system:serviceaccount:${account.namespace}:${account.name}`, uid: 'a1', groups: ['system:serviceaccounts', `system:serviceaccounts:${account.namespace}`, 'system:authenticated'] } }
      : { user: {}, error: account ? 'token audiences are invalid for the target audiences' : '[invalid bearer token]' };
    return { status: 201, body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec, status }) };
  }
}

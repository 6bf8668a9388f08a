import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { readBounded } from '../read-bounded.ts';

export interface KubernetesApi {
  /** https URL of the API server. */
  readonly url: string;
  /** File of the authority its certificate leads to, PEM. */
  readonly caFile: string;
  /** File of the token we call with, read again for each call: kubelet replaces it. */
  readonly tokenFile: string;
  /** For one call. Default 5 s. */
  readonly timeoutMs?: number;
}

export interface KubernetesAnswer {
  readonly status: number;
  readonly text: string;
}

export interface KubernetesCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  /** JSON. */
  readonly body?: string;
  /** Of the answer. */
  readonly maxBytes: number;
}

const serviceAccountDir = '/var/run/secrets/kubernetes.io/serviceaccount';
const maxFileBytes = 65_536;

/** The namespace of the Pod this process runs in; undefined outside of one. */
export function inClusterNamespace(): string | undefined {
  try {
    return readFileSync(`${serviceAccountDir}/namespace`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The API server of the cluster this process runs in; undefined outside of one. */
export function inClusterApi(env: NodeJS.ProcessEnv): KubernetesApi | undefined {
  const host = env['KUBERNETES_SERVICE_HOST'];
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '') return undefined;
  return { url: `https://${host.includes(':') ? `[${host}]` : host}:${port}`, caFile: `${serviceAccountDir}/ca.crt`, tokenFile: `${serviceAccountDir}/token` };
}

/** There is more to read than the caller takes. */
export class TooLongAnswer extends Error {}

/** Single calls to an API server: no redirects, nothing repeated, nothing remembered. */
export class KubernetesCalls {
  readonly #api: KubernetesApi;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 10, timeout: 30_000 });

  constructor(api: KubernetesApi) {
    this.#api = api;
  }

  /** Whatever the server answers; rejects when it does not, or too much. */
  async call({ method, path, body, maxBytes }: KubernetesCall): Promise<KubernetesAnswer> {
    const [ca, ownToken] = await Promise.all([readFile(this.#api.caFile, 'utf8'), readBounded(this.#api.tokenFile, maxFileBytes)]);
    if (ownToken === undefined) throw new Error(`${this.#api.tokenFile} is missing`);
    const headers = { accept: 'application/json', authorization: `Bearer ${ownToken.trim()}`, ...(body !== undefined && { 'content-type': 'application/json' }) };
    const timeoutMs = this.#api.timeoutMs ?? 5000;
    const signal = AbortSignal.timeout(timeoutMs);
    return new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, this.#api.url), { method, agent: this.#agent, ca, headers, signal }, (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxBytes) outgoing.destroy(new TooLongAnswer(`the answer has more than ${maxBytes} bytes`));
          else chunks.push(chunk);
        });
        answer.once('error', reject);
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }));
      });
      outgoing.once('error', (cause) => reject(signal.aborted ? new Error(`no answer within ${timeoutMs} ms`) : cause));
      outgoing.end(body);
    });
  }

  stop(): void {
    this.#agent.destroy();
  }
}

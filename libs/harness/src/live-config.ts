import { credentials, Metadata, type ServiceError } from '@grpc/grpc-js';
import { ConfigServiceClient, type ApplyResponse, type ListResponse, type WaitProgress } from '@meltemi/api/gen/meltemi/config/v1/config.ts';
import { parseYamlDocuments } from '@meltemi/config';

const deadlineMs = 30_000;

/** Pilot's config API for tests that apply hundreds of times: `meltemi apply --wait` without a process each. */
export class LiveConfig {
  readonly #client: ConfigServiceClient;

  constructor(socket: string) {
    this.#client = new ConfigServiceClient(`unix:${socket}`, credentials.createInsecure());
  }

  /** Stores all objects of some YAML, as one change. Rejects when any is refused. */
  async apply(yaml: string): Promise<ApplyResponse> {
    const items = parseYamlDocuments(yaml, 'test').documents.map(({ raw, errors }) => {
      if (!raw) throw new Error(`not an object: ${JSON.stringify(errors)}`);
      return { json: JSON.stringify(raw.content), expectedResourceVersion: '' };
    });
    const answer = await reply<ApplyResponse>((done) => this.#client.apply({ items, defaultNamespace: 'default', dryRun: false }, new Metadata(), { deadline: Date.now() + deadlineMs }, done));
    const refused = answer.results.flatMap(({ errors }) => errors);
    if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`);
    return answer;
  }

  /** Pilot's last word on where the objects of an apply are. */
  wait({ revision, results }: ApplyResponse): Promise<WaitProgress> {
    const objects = results.flatMap(({ key }) => key ?? []);
    return new Promise((resolve, reject) => {
      let last: WaitProgress | undefined;
      const stream = this.#client.wait({ revision, objects, timeoutMs: BigInt(deadlineMs), removed: false, threshold: 0, generation: '' }, new Metadata(), { deadline: Date.now() + deadlineMs + 5000 });
      stream.on('data', (progress: WaitProgress) => { last = progress; });
      stream.on('end', () => (last ? resolve(last) : reject(new Error('pilot said nothing'))));
      stream.on('error', reject);
    });
  }

  /** Stores, and resolves when every proxy follows; rejects with who does not. */
  async applyLive(yaml: string): Promise<void> {
    const last = await this.wait(await this.apply(yaml));
    if (!last.done) throw new Error(`not live: ${JSON.stringify(last)}`);
  }

  list(kind = ''): Promise<ListResponse> {
    return reply((done) => this.#client.list({ group: '', kind, namespace: '' }, new Metadata(), { deadline: Date.now() + deadlineMs }, done));
  }

  close(): void {
    this.#client.close();
  }
}

function reply<T>(call: (done: (error: ServiceError | null, value: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => void call((error, value) => (error ? reject(error) : resolve(value))));
}

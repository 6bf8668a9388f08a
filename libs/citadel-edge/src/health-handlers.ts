import { status, type ServerWritableStream } from '@grpc/grpc-js';
import { HealthCheckResponse_ServingStatus as Serving, type HealthCheckRequest, type HealthCheckResponse, type HealthServer } from '@meltemi/api/gen/grpc/health/v1/health.ts';

type Watcher = ServerWritableStream<HealthCheckRequest, HealthCheckResponse>;

const maxWatchers = 100;

/** grpc.health.v1 for the whole server and for each service in `services`. */
export class Health {
  readonly #services: ReadonlySet<string>;
  readonly #watchers = new Set<Watcher>();
  #serving = true;

  constructor(services: readonly string[]) {
    this.#services = new Set(['', ...services]);
  }

  handlers(): HealthServer {
    return {
      check: (call, done) => {
        if (this.#services.has(call.request.service)) done(null, { status: this.#status() });
        else done({ code: status.NOT_FOUND, details: `unknown service ${JSON.stringify(call.request.service)}` });
      },
      watch: (call) => this.#watch(call),
    };
  }

  /** Tells watchers that this server is going away, and ends their streams. */
  drain(): void {
    this.#serving = false;
    for (const watcher of this.#watchers) {
      watcher.write({ status: this.#status() });
      watcher.end();
    }
    this.#watchers.clear();
  }

  #watch(call: Watcher): void {
    if (this.#watchers.size >= maxWatchers) {
      call.emit('error', { code: status.RESOURCE_EXHAUSTED, details: `${maxWatchers} health watchers already` });
      return;
    }
    call.write({ status: this.#services.has(call.request.service) ? this.#status() : Serving.SERVICE_UNKNOWN });
    this.#watchers.add(call);
    call.on('cancelled', () => this.#watchers.delete(call));
  }

  #status(): HealthCheckResponse['status'] {
    return this.#serving ? Serving.SERVING : Serving.NOT_SERVING;
  }
}

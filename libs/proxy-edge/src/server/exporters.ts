import type { SpanExporter } from '@meltemi/proxy';

type Exporter = Pick<SpanExporter, 'finished'>;

/** What sends spans and log records in this worker. Those of connection managers that are gone are forgotten with them. */
export class Exporters {
  #known: WeakRef<Exporter>[] = [];

  add(exporter: Exporter): void {
    this.#known = [...this.#known.filter((ref) => ref.deref() !== undefined), new WeakRef(exporter)];
  }

  /** Resolves when collectors have answered for everything there is. */
  async finished(): Promise<void> {
    await Promise.all(this.#known.map((ref) => ref.deref()?.finished() ?? Promise.resolve()));
  }
}

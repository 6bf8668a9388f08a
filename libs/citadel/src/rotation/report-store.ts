/**
 * Where citadels that share a keystore tell each other who follows them: small texts by key, without secrets. Each citadel writes keys of its own only, and
 * removes those of others that are over. Losing them makes a rotation wait for nobody it should not wait for, but forget who is away.
 */
export interface ReportStore {
  /** Other citadels may write here, too. */
  readonly shared: boolean;
  loadReports(): Promise<ReadonlyMap<string, string>>;
  /** Undefined removes. Resolves when it is durable. */
  writeReports(changes: ReadonlyMap<string, string | undefined>): Promise<void>;
}

/** Forgets with the process; several rosters on one stand for several citadels. For tests. */
export class MemoryReportStore implements ReportStore {
  readonly shared: boolean;
  readonly #reports = new Map<string, string>();

  constructor(shared = true) {
    this.shared = shared;
  }

  async loadReports(): Promise<ReadonlyMap<string, string>> {
    return new Map(this.#reports);
  }

  async writeReports(changes: ReadonlyMap<string, string | undefined>): Promise<void> {
    for (const [key, text] of changes) {
      if (text === undefined) this.#reports.delete(key);
      else this.#reports.set(key, text);
    }
  }
}

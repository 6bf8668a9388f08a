import type { ReportSenders, ReportSendersOptions } from '@meltemi/proxy-edge/reports';

/** Sends access log entries over gRPC, whose code is loaded with the first of them: most proxies alone never need it. */
export class LateReports {
  readonly #options: ReportSendersOptions;
  #senders: Promise<ReportSenders> | null = null;

  constructor(options: ReportSendersOptions) {
    this.#options = options;
  }

  send(sink: string, entries: readonly Uint8Array[]): void {
    this.#senders ??= import('@meltemi/proxy-edge/reports').then(({ ReportSenders }) => new ReportSenders(this.#options));
    void this.#senders.then((senders) => senders.send(sink, entries));
  }

  async stop(): Promise<void> {
    await (await this.#senders)?.stop();
  }
}

import type { Clock, Random, Result } from '@meltemi/base';
import type { CertificateService, CitadelError } from '@meltemi/citadel';
import type { WorkloadCertificate } from '@meltemi/identity';
import type { CertificateSource } from '@meltemi/identity-edge';

const retryMs = 10_000;

export interface OwnCertificateOptions {
  readonly service: CertificateService;
  readonly clock: Clock;
  readonly random: Random;
  /** Undefined: that of workloads. */
  readonly lifetimeMs: number | undefined;
  readonly onFailure: (reason: string) => void;
}

/** Citadel's own server certificate, made anew at half of its life. Open connections stay. */
export class OwnCertificate implements CertificateSource {
  readonly #options: OwnCertificateOptions;
  readonly #listeners = new Set<(certificate: WorkloadCertificate) => void>();
  #current: WorkloadCertificate;
  #stopped = false;
  #cancel: () => void = () => undefined;

  private constructor(options: OwnCertificateOptions, first: WorkloadCertificate) {
    this.#options = options;
    this.#current = first;
    this.#schedule();
  }

  /** Rejects when the first certificate cannot be had. */
  static async start(options: OwnCertificateOptions): Promise<OwnCertificate> {
    const first = await options.service.obtainOwn(options.lifetimeMs);
    if (!first.ok) throw new Error(`citadel's own certificate: ${first.error.message}`);
    return new OwnCertificate(options, first.value);
  }

  subscribe(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#current);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
    this.#listeners.clear();
  }

  /** Now, because the authority has changed. */
  renew(): void {
    this.#cancel();
    this.#renew();
  }

  #schedule(): void {
    const { clock, random } = this.#options;
    const half = (this.#current.notAfter - clock.now()) * (0.5 + (random.next() - 0.5) * 0.02);
    this.#cancel = clock.after(Math.max(100, half), () => this.#renew());
  }

  #renew(): void {
    const { service, lifetimeMs } = this.#options;
    // With a key of our own there is nothing to wait for: who calls finds the new one in force.
    if (!service.authority().upstream) return this.#take(service.issueOwn(lifetimeMs));
    void this.#obtain();
  }

  async #obtain(): Promise<void> {
    this.#take(await this.#options.service.obtainOwn(this.#options.lifetimeMs));
  }

  #take(next: Result<WorkloadCertificate, CitadelError>): void {
    if (this.#stopped) return;
    const { onFailure, clock } = this.#options;
    if (!next.ok) {
      onFailure(next.error.message);
      this.#cancel = clock.after(retryMs, () => this.#renew());
      return;
    }
    this.#current = next.value;
    for (const listener of this.#listeners) listener(next.value);
    this.#schedule();
  }
}

import type { Clock, Random } from '@meltemi/base';
import type { CertificateService } from '@meltemi/citadel';
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
  #cancel: () => void = () => undefined;

  /** Throws when the first certificate cannot be made. */
  constructor(options: OwnCertificateOptions) {
    this.#options = options;
    const first = options.service.issueOwn(options.lifetimeMs);
    if (!first.ok) throw new Error(`citadel's own certificate: ${first.error.message}`);
    this.#current = first.value;
    this.#schedule();
  }

  subscribe(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#current);
    return () => this.#listeners.delete(listener);
  }

  stop(): void {
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
    const { service, lifetimeMs, onFailure, clock } = this.#options;
    const next = service.issueOwn(lifetimeMs);
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

/** A certificate that is out there. */
export interface IssuedSerial {
  readonly serial: string;
  readonly notAfter: number;
}

const maxEntries = 100_000;

/** Which certificates this citadel has issued since it started and have not ended: the newest 100,000. */
export class IssuedIndex {
  /** In the order they were issued. */
  readonly #bySerial = new Map<string, IssuedSerial & { readonly spiffeId: string }>();

  add(spiffeId: string, { serial, notAfter }: IssuedSerial): void {
    this.#bySerial.set(serial, { serial, notAfter, spiffeId });
    for (const oldest of this.#bySerial.keys()) {
      if (this.#bySerial.size <= maxEntries) break;
      this.#bySerial.delete(oldest);
    }
  }

  find(serial: string): (IssuedSerial & { readonly spiffeId: string }) | undefined {
    return this.#bySerial.get(serial);
  }

  of(spiffeId: string, now: number): IssuedSerial[] {
    return [...this.#bySerial.values()].filter((each) => each.spiffeId === spiffeId && each.notAfter > now);
  }
}

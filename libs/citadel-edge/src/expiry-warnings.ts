import { authorityExpiries, ExpiryWatch, type AuthorityRole, type OpenAuthority } from '@meltemi/citadel';
import type { CitadelLog } from './certificate-handlers.ts';
import type { CitadelStats } from './stats.ts';

const roles: readonly AuthorityRole[] = ['root', 'trusted root', 'issuing CA', 'intermediate'];

/** Warns of certificates of the authority whose end is near: in the log once for each threshold, in the metrics as long as it is so. */
export class ExpiryWarnings {
  readonly #watch = new ExpiryWatch();
  readonly #log: CitadelLog;
  readonly #stats: CitadelStats;

  constructor({ log, stats }: { readonly log: CitadelLog; readonly stats: CitadelStats }) {
    this.#log = log;
    this.#stats = stats;
  }

  check(authority: OpenAuthority, now: number): void {
    for (const { role, serial, notAfter, withinDays } of this.#watch.check(authority, now)) {
      const fields = { role, serial, notAfter: new Date(notAfter).toISOString(), withinDays };
      if (withinDays === 0) this.#log.error(fields, `the ${role} has ended: nothing that hangs on it is believed any more`);
      else this.#log.warn(fields, `the ${role} ends within ${withinDays} days: ${remedies[role]}`);
    }
    const all = authorityExpiries(authority, now);
    for (const role of roles) {
      const nearest = all.find((each) => each.role === role);
      if (!nearest) continue;
      this.#stats.expirySeconds.labels(role).set(Math.floor(nearest.notAfter / 1000));
      this.#stats.expiryWithinDays.labels(role).set(nearest.withinDays ?? -1);
    }
  }
}

const remedies: Readonly<Record<AuthorityRole, string>> = {
  'root': 'change it in time, with meltemi ca rotate or in the files it comes from', 'trusted root': 'take it out, or nobody whose certificate leads to it gets in after that',
  'issuing CA': 'replace it in the files it comes from; certificates get shorter until then', 'intermediate': 'replace it in the files it comes from',
};

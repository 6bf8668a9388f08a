import { ok, type Result } from '@meltemi/base';
import type { Authority, OpenAuthority } from '@meltemi/citadel';
import { withFederated, type FederatedRoots } from '@meltemi/identity';

export interface FederatedTrust {
  /** The roots of other trust domains, as they are now; the same list while nothing changes. */
  readonly federated: () => readonly FederatedRoots[];
  /** Former names of our own trust domain. Beside others they are told apart, so they get our own roots. The same list while nothing changes. */
  readonly aliases: () => readonly string[];
}

/** An authority whose trust bundle has other trust domains beside it: what signs is untouched by them. */
export class FederatedAuthority implements Authority {
  readonly #inner: Authority;
  readonly #trust: FederatedTrust;
  #last: { readonly opened: OpenAuthority; readonly federated: readonly FederatedRoots[]; readonly aliases: readonly string[]; readonly result: OpenAuthority } | undefined;

  constructor(inner: Authority, trust: FederatedTrust) {
    this.#inner = inner;
    this.#trust = trust;
  }

  async refresh(now: number): Promise<Result<OpenAuthority>> {
    const opened = await this.#inner.refresh(now);
    if (!opened.ok) return opened;
    const [federated, aliases] = [this.#trust.federated(), this.#trust.aliases()];
    if (this.#last?.opened === opened.value && this.#last.federated === federated && this.#last.aliases === aliases) return ok(this.#last.result);
    const trust = withFederated(opened.value.trust, federated.length === 0 ? [] : [...federated, ...aliases.map((trustDomain) => ({ trustDomain, rootsPem: opened.value.trust.roots.map((root) => root.pem) }))]);
    if (!trust.ok) return trust;
    this.#last = { opened: opened.value, federated, aliases, result: { ...opened.value, trust: trust.value } };
    return ok(this.#last.result);
  }
}

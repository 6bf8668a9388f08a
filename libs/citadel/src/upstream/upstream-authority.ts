import { fail, ok, type Result } from '@meltemi/base';
import { buildCsr, controlPlaneId, createTrustBundle, formatSpiffeId, generateP256, parseCertificates, type Certificate, type TrustBundle } from '@meltemi/identity';
import type { Authority, IssuerPath, OpenAuthority } from '../authority.ts';
import { controlPlaneNames } from '../control-plane-names.ts';
import type { IssuerStore } from '../keystore.ts';
import { issueUpstream } from './issue-upstream.ts';
import type { UpstreamCa } from './upstream-ca.ts';

export interface UpstreamAuthorityOptions {
  readonly trustDomain: string;
  readonly upstream: UpstreamCa;
  /** Reads the roots as they are now, PEM; rejects with a reason for people. */
  readonly readRoots: () => Promise<string>;
  readonly issuers: IssuerStore;
}

const maxRetired = 8;
const trialLifetimeMs = 3_600_000;
/** How often it is asked which CA signs there now. */
const probeMs = 600_000;

/**
 * An authority whose key is elsewhere: every request is sent on. Which CA signs there is learned from a certificate for citadel's own name, which
 * nobody gets: its key is thrown away.
 */
export class UpstreamAuthority implements Authority {
  readonly #options: UpstreamAuthorityOptions;
  #open: OpenAuthority | undefined;
  #rootsPem = '';
  #probedAt = 0;

  constructor(options: UpstreamAuthorityOptions) {
    this.#options = options;
  }

  async refresh(now: number): Promise<Result<OpenAuthority>> {
    const { trustDomain, readRoots } = this.#options;
    const rootsPem = await readRoots().catch((cause: unknown) => (cause instanceof Error ? cause : new Error(String(cause))));
    if (rootsPem instanceof Error) return fail('', rootsPem.message);
    if (this.#open && rootsPem === this.#rootsPem && now - this.#probedAt < probeMs) return ok(this.#open);
    const trust = createTrustBundle(trustDomain, [rootsPem]);
    if (!trust.ok) return trust;
    const probed = await this.#probe(trust.value, now);
    if (!probed.ok) return probed;
    const [root, issuer] = probed.value;
    this.#open = { root, issuer, retired: await this.#remember(issuer, now), trust: trust.value, upstream: this.#options.upstream };
    this.#rootsPem = rootsPem;
    this.#probedAt = now;
    return ok(this.#open);
  }

  async #probe(trust: TrustBundle, now: number): Promise<Result<readonly [Certificate, IssuerPath]>> {
    const { trustDomain, upstream } = this.#options;
    const id = controlPlaneId(trustDomain, 'citadel');
    const keys = generateP256();
    const csr = buildCsr(keys.privateKey, { uris: [formatSpiffeId(id)] });
    const issued = await issueUpstream({ trust }, { id, publicKey: keys.publicKey, ...controlPlaneNames(id), lifetimeMs: trialLifetimeMs, now }, { upstream, csr });
    if (!issued.ok) return fail('', `${issued.error.message}${issued.error.detail === undefined ? '' : ` (${issued.error.detail})`}`);
    const path = issued.value.chainPem.flatMap((pem) => ((parsed) => (parsed.ok ? parsed.value : []))(parseCertificates(pem)));
    const [, issuing, ...above] = path;
    const root = above.at(-1) ?? issuing;
    return issuing && root ? ok([root, [issuing, ...above.slice(0, -1)]]) : fail('', 'the chain has no issuing CA');
  }

  async #remember(issuer: IssuerPath, now: number): Promise<IssuerPath[]> {
    const kept = await this.#options.issuers.loadIssuers();
    const known = (kept?.value ?? []).flatMap((pem) => pathOf(pem) ?? []);
    const others = known.filter(([issuing]) => issuing.pem !== issuer[0].pem && issuing.notAfter > now).slice(-maxRetired);
    // A conflict is another citadel that remembers the same; the next look settles it.
    if (!known.some(([issuing]) => issuing.pem === issuer[0].pem)) await this.#options.issuers.saveIssuers([...others, issuer].map((path) => path.map(({ pem }) => pem).join('')), kept?.revision);
    return others;
  }
}

function pathOf(pem: string): [IssuerPath] | undefined {
  const parsed = parseCertificates(pem);
  const [issuing, ...intermediates] = parsed.ok ? parsed.value : [];
  return issuing && [[issuing, ...intermediates]];
}

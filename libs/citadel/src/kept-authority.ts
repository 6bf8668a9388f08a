import { createPrivateKey } from 'node:crypto';
import { err, fail, ok, type Result } from '@meltemi/base';
import { buildCertificate, createTrustBundle, generateKeys, parseCertificate, parseCertificates, type Certificate, type CertificateSigner, type KeyAlgorithm } from '@meltemi/identity';
import type { Authority, OpenAuthority, OpenRotation, Signing } from './authority.ts';
import { backdatedMs } from './backdate.ts';
import type { Entropy } from './entropy.ts';
import type { AuthorityMaterial } from './authority-material.ts';
import type { AuthorityStore, Kept } from './keystore.ts';
import { alwaysLeader, type Leadership } from './leadership.ts';
import type { RootMaterial, RotationRecord } from './rotation/rotation-record.ts';

const yearMs = 365 * 86_400_000;
/** As Istio's self-signed root. */
const rootLifetimeMs = 10 * yearMs;
/** Renewed with half a year left, twice the longest workload lifetime: issuing is never cut short. */
const issuingLifetimeMs = 2 * yearMs;
const issuingRenewalMs = yearMs / 2;
/** Of changing what other citadels change at the same time. */
const maxAttempts = 8;
const defaultAlgorithm: KeyAlgorithm = 'ecdsa-p256';

export interface KeptAuthorityOptions {
  readonly trustDomain: string;
  readonly keystore: AuthorityStore;
  readonly entropy: Entropy;
  /** Of the keys that are made from now on. Default ECDSA P-256. */
  readonly keyAlgorithm?: KeyAlgorithm;
  /** Who renews the issuing CA when several citadels share the keystore. Default: this one. */
  readonly leadership?: Leadership;
}

/** What is needed to make keys and certificates. */
interface Making extends Omit<KeptAuthorityOptions, 'keystore' | 'leadership'> {
  readonly now: number;
}

/** What a change of the root may need. */
export interface RootMaking {
  readonly trustDomain: string;
  /** A new root with a new issuing CA below it. */
  readonly newRoot: () => Promise<RootMaterial>;
}

const tooBusy = 'other citadels kept changing the authority';

/** Citadel's own root and issuing CA: made on the first start, kept in the keystore. A damaged one is an error, never replaced. */
export class KeptAuthority implements Authority {
  readonly #options: KeptAuthorityOptions;
  readonly #leadership: Leadership;
  #kept: Kept<AuthorityMaterial> | undefined;

  constructor(options: KeptAuthorityOptions) {
    this.#options = options;
    this.#leadership = options.leadership ?? alwaysLeader();
  }

  /** Rejects when the keystore fails. */
  async refresh(now: number): Promise<Result<OpenAuthority>> {
    const { keystore, trustDomain, entropy, keyAlgorithm } = this.#options;
    const making = { trustDomain, entropy, now, ...(keyAlgorithm !== undefined && { keyAlgorithm }) };
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const kept = await this.#load();
      if (!kept) {
        if (this.#kept) return fail('', 'the authority is gone from the keystore: restore it from a backup; it is never replaced by itself');
        await keystore.saveAuthority(await createAuthority(making), undefined);
        continue;
      }
      this.#kept = kept;
      const term = this.#leadership.term();
      const renewed = term ? await renewIssuing(kept.value, making) : ok(undefined);
      if (!renewed.ok) return renewed;
      if (!renewed.value) return openAuthority(trustDomain, kept.value);
      await keystore.saveAuthority(renewed.value, kept.revision, term);
    }
    return fail('', tooBusy);
  }

  /**
   * Replaces the material by what `decide` makes of it, in one save; again from the start when another citadel was faster. It is in force with the next
   * refresh. Rejects when the keystore fails.
   */
  async change<E>(decide: (material: AuthorityMaterial, making: RootMaking) => Promise<Result<AuthorityMaterial, E>>, now: number): Promise<Result<void, E | string>> {
    const { keystore, trustDomain, entropy, keyAlgorithm } = this.#options;
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const kept = await this.#load();
      if (!kept) return err('there is no authority in the keystore yet');
      const decided = await decide(kept.value, { newRoot: () => createAuthority({ trustDomain, entropy, now, ...(keyAlgorithm !== undefined && { keyAlgorithm }) }), trustDomain });
      if (!decided.ok) return decided;
      if ((await keystore.saveAuthority(decided.value, kept.revision)) === 'saved') return ok(undefined);
    }
    return err(tooBusy);
  }

  /** What is in the keystore now; undefined when there is none yet. Rejects when the keystore fails. */
  async material(): Promise<AuthorityMaterial | undefined> {
    return (await this.#load())?.value;
  }

  /** What is in the keystore now, read again only when another citadel, or this one, has changed it. */
  async #load(): Promise<Kept<AuthorityMaterial> | undefined> {
    const { keystore } = this.#options;
    return this.#kept !== undefined && (await keystore.authorityRevision()) === this.#kept.revision ? this.#kept : keystore.loadAuthority();
  }
}

/** A new root and a new issuing CA below it. */
export async function createAuthority(making: Making): Promise<AuthorityMaterial> {
  const { trustDomain, entropy, now } = making;
  const keys = await generateKeys(making.keyAlgorithm ?? defaultAlgorithm);
  const subject = { organization: trustDomain, commonName: `Meltemi root ${entropy.bytes(4).toString('hex')}` };
  const der = buildCertificate(
    { serial: entropy.bytes(16), subject, publicKey: keys.publicKey, notBefore: now - backdatedMs, notAfter: now + rootLifetimeMs, role: { kind: 'authority', pathLength: 1 } },
    { key: keys.privateKey },
  );
  const root = mustParse(der);
  const issuing = await createIssuing({ key: keys.privateKey, certificate: root }, making);
  return { rootCertificatePem: root.pem, rootKeyPem: pemOf(keys.privateKey), ...issuing, retiredIssuingPem: [] };
}

/** The same authority with a new issuing CA when the present one has less than half a year left; undefined when it is still good. */
async function renewIssuing(material: AuthorityMaterial, making: Making): Promise<Result<AuthorityMaterial | undefined>> {
  const opened = openRoot(material);
  if (!opened.ok) return opened;
  const { root, issuer: [issuing], retired: retiredIssuers } = opened.value;
  if (issuing.notAfter - making.now > issuingRenewalMs || issuing.notAfter >= root.notAfter) return ok(undefined);
  const next = await createIssuing({ key: createPrivateKey(material.rootKeyPem), certificate: root }, making);
  const retired = [...retiredIssuers.map(([certificate]) => certificate), issuing].filter((certificate) => certificate.notAfter > making.now).slice(-8);
  return ok({ ...material, ...next, retiredIssuingPem: retired.map((certificate) => certificate.pem) });
}

/** Reads stored material and checks that its keys and certificates belong together: a damaged keystore must not sign anything. */
export function openAuthority(trustDomain: string, material: AuthorityMaterial): Result<OpenAuthority> {
  const signing = openRoot(material);
  if (!signing.ok) return signing;
  const { rotation, retiredRoots } = material;
  const other = rotation && openRoot(rotation.other, 'rotation.other.');
  if (other && !other.ok) return other;
  const believed = other && rotation.phase !== 'retiring' ? [signing.value, other.value] : [signing.value];
  // In one order in every phase: the same roots are the same bundle.
  const trust = createTrustBundle(trustDomain, believed.map(({ root }) => root.pem).toSorted());
  if (!trust.ok) return trust;
  const retired = believed.flatMap((root, index) => (index === 0 ? root.retired : [root.issuer, ...root.retired]));
  const served = other && rotation.servedByOther ? { serving: { root: other.value.root, issuer: other.value.issuer, signer: other.value.signer } } : {};
  return ok({ ...signing.value, retired, trust: trust.value, ...served, ...(other && { rotation: openRotation(rotation, other.value.root) }), ...(retiredRoots && { retiredRoots }) });
}

function openRotation({ phase, paused, automatic, startedAt, since }: RotationRecord, other: Certificate): OpenRotation {
  return { phase, paused, automatic, startedAt, since, other };
}

/** One root with its issuing CA. */
function openRoot(material: RootMaterial, path = ''): Result<Signing & Pick<OpenAuthority, 'retired'>> {
  const root = single(material.rootCertificatePem, `${path}rootCertificatePem`);
  if (!root.ok) return root;
  const issuing = single(material.issuingCertificatePem, `${path}issuingCertificatePem`);
  if (!issuing.ok) return issuing;
  const retired = material.retiredIssuingPem.map((pem, index) => single(pem, `${path}retiredIssuingPem[${index}]`));
  const bad = retired.find((entry) => !entry.ok);
  if (bad && !bad.ok) return bad;
  if (!issuing.value.ca || !issuing.value.x509.verify(root.value.publicKey)) return fail(`${path}issuingCertificatePem`, 'was not signed by the root beside it');
  let key;
  try {
    key = createPrivateKey(material.issuingKeyPem);
  } catch {
    return fail(`${path}issuingKeyPem`, 'cannot be read');
  }
  if (!issuing.value.x509.checkPrivateKey(key)) return fail(`${path}issuingKeyPem`, 'does not belong to the issuing certificate');
  return ok({ root: root.value, issuer: [issuing.value], retired: retired.flatMap((entry) => (entry.ok ? [[entry.value] as const] : [])), signer: { key, certificate: issuing.value } });
}

/** The issuing CA names workloads of its trust domain and nothing else (name constraints), so that its key, if lost, is of no use elsewhere. */
async function createIssuing(root: Required<CertificateSigner>, { trustDomain, now, entropy, keyAlgorithm = defaultAlgorithm }: Making): Promise<Pick<AuthorityMaterial, 'issuingCertificatePem' | 'issuingKeyPem'>> {
  const keys = await generateKeys(keyAlgorithm);
  const subject = { organization: trustDomain, commonName: `Meltemi issuing ${entropy.bytes(4).toString('hex')}` };
  const notAfter = Math.min(now + issuingLifetimeMs, root.certificate.notAfter);
  const der = buildCertificate({ serial: entropy.bytes(16), subject, publicKey: keys.publicKey, notBefore: now - backdatedMs, notAfter, role: { kind: 'authority', pathLength: 0, permittedUriHosts: [trustDomain] } }, root);
  return { issuingCertificatePem: mustParse(der).pem, issuingKeyPem: pemOf(keys.privateKey) };
}

function single(pem: string, path: string): Result<Certificate> {
  const parsed = parseCertificates(pem);
  const [certificate, ...more] = parsed.ok ? parsed.value : [];
  return certificate && more.length === 0 ? ok(certificate) : fail(path, parsed.ok ? 'must hold one certificate' : (parsed.error[0]?.message ?? 'cannot be read'));
}

function mustParse(der: Buffer): Certificate {
  const parsed = parseCertificate(der);
  if (!parsed.ok) throw new Error(`the authority made a certificate it cannot read: ${parsed.error[0]?.message}`);
  return parsed.value;
}

function pemOf(key: ReturnType<typeof createPrivateKey>): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

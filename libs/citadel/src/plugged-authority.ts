import { createPrivateKey, type KeyObject } from 'node:crypto';
import { fail, ok, type Result } from '@meltemi/base';
import { createTrustBundle, generateP256, parseCertificates, verifyIssuer, type Certificate, type SpiffeId } from '@meltemi/identity';
import type { Authority, IssuerPath, OpenAuthority, SigningAuthority } from './authority.ts';
import type { Entropy } from './entropy.ts';
import { issueCertificate } from './issue.ts';
import type { IssuerStore } from './keystore.ts';

/** An authority as Istio's `cacerts` Secret has it, PEM. */
export interface CaFiles {
  /** ca-cert.pem: the issuing CA. */
  readonly caCert: string;
  /** ca-key.pem: its key. */
  readonly caKey: string;
  /** cert-chain.pem: the issuing CA and what lies between it and the root; "" when the root signed it. */
  readonly certChain: string;
  /** root-cert.pem: one or more roots. */
  readonly rootCert: string;
}

export interface PluggedAuthorityOptions {
  readonly trustDomain: string;
  /** Reads the files as they are now; rejects with a reason for people. */
  readonly read: () => Promise<CaFiles>;
  readonly issuers: IssuerStore;
  readonly entropy: Entropy;
}

/** Issuers that are remembered: as many rotations as a workload's certificate may span. */
const maxRetired = 8;
/** Of saving what several citadels remember at once. */
const maxAttempts = 20;

/** An authority from elsewhere: an issuing CA that an operator plugs in and replaces while citadel runs. Its root's key is never here. */
export class PluggedAuthority implements Authority {
  readonly #options: PluggedAuthorityOptions;
  #files: CaFiles | undefined;
  #open: OpenAuthority | undefined;

  constructor(options: PluggedAuthorityOptions) {
    this.#options = options;
  }

  async refresh(now: number): Promise<Result<OpenAuthority>> {
    const files = await this.#options.read().catch((cause: unknown) => cause);
    if (!isFiles(files)) return fail('', files instanceof Error ? files.message : String(files));
    if (this.#open && this.#files && same(this.#files, files)) return ok(this.#open);
    const opened = openFiles(this.#options, files, now);
    if (!opened.ok) return opened;
    const open = { ...opened.value, retired: await this.#remember(opened.value, now) };
    this.#files = files;
    this.#open = open;
    return ok(open);
  }

  /** Adds the issuer to those that are known; returns the others that still count. */
  async #remember({ issuer }: OpenAuthority, now: number): Promise<IssuerPath[]> {
    const { issuers } = this.#options;
    for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
      const kept = await issuers.loadIssuers();
      const known = (kept?.value ?? []).map(pathOf).filter((path) => path !== undefined);
      const others = known.filter(([issuing]) => issuing.pem !== issuer[0].pem && issuing.notAfter > now).slice(-maxRetired);
      const next = [...others, issuer].map((path) => path.map(({ pem }) => pem).join(''));
      if (next.join() === kept?.value.join() || (await issuers.saveIssuers(next, kept?.revision)) === 'saved') return others;
    }
    throw new Error('other citadels kept changing the issuing CAs that are remembered');
  }
}

function isFiles(value: unknown): value is CaFiles {
  return typeof value === 'object' && value !== null && 'caCert' in value;
}

function same(a: CaFiles, b: CaFiles): boolean {
  return a.caCert === b.caCert && a.caKey === b.caKey && a.certChain === b.certChain && a.rootCert === b.rootCert;
}

function pathOf(pem: string): IssuerPath | undefined {
  const parsed = parseCertificates(pem);
  const [issuing, ...intermediates] = parsed.ok ? parsed.value : [];
  return issuing && [issuing, ...intermediates];
}

/** Everything is tried before anything counts: what cannot sign a workload's certificate is refused whole. */
function openFiles({ trustDomain, entropy }: PluggedAuthorityOptions, files: CaFiles, now: number): Result<OpenAuthority> {
  const trust = within('root-cert.pem', createTrustBundle(trustDomain, [files.rootCert]));
  if (!trust.ok) return trust;
  const issuing = within('ca-cert.pem', single(files.caCert));
  if (!issuing.ok) return issuing;
  const chain = files.certChain.trim() === '' ? ok([]) : within('cert-chain.pem', parseCertificates(files.certChain));
  if (!chain.ok) return chain;
  const key = privateKey(files.caKey, issuing.value);
  if (!key.ok) return key;
  const path = within('ca-cert.pem', verifyIssuer([issuing.value, ...chain.value.filter(({ pem }) => pem !== issuing.value.pem)], trust.value, now));
  if (!path.ok) return path;
  const [, ...above] = path.value;
  const root = above.at(-1) ?? issuing.value;
  const authority: SigningAuthority = { root, issuer: [issuing.value, ...above.slice(0, -1)], retired: [], signer: { key: key.value, certificate: issuing.value }, trust: trust.value };
  return tried(authority, { entropy, now });
}

/** Signs a certificate nobody gets: path lengths, name constraints and key usages are right, or the reason comes out here and not at the first workload. */
function tried(authority: SigningAuthority, { entropy, now }: { readonly entropy: Entropy; readonly now: number }): Result<OpenAuthority> {
  const id: SpiffeId = { trustDomain: authority.trust.trustDomain, namespace: 'default', serviceAccount: 'default' };
  const trial = issueCertificate(authority, { id, publicKey: generateP256().publicKey, dnsNames: [], ips: [], lifetimeMs: 60_000, now }, entropy);
  return trial.ok ? ok(authority) : fail('ca-cert.pem', `cannot issue certificates for trust domain ${authority.trust.trustDomain}: ${trial.error.message}`);
}

function privateKey(pem: string, certificate: Certificate): Result<KeyObject> {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    return fail('ca-key.pem', 'cannot be read: it must hold one private key in PEM, not encrypted');
  }
  return certificate.x509.checkPrivateKey(key) ? ok(key) : fail('ca-key.pem', 'does not belong to the certificate in ca-cert.pem');
}

function single(pem: string): Result<Certificate> {
  const parsed = parseCertificates(pem);
  if (!parsed.ok) return parsed;
  const [certificate, ...more] = parsed.value;
  return certificate && more.length === 0 ? ok(certificate) : fail('', 'must hold exactly one certificate; others belong into cert-chain.pem');
}

function within<T>(file: string, outcome: Result<T>): Result<T> {
  return outcome.ok ? outcome : fail(file, outcome.error.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`)).join('; '));
}
